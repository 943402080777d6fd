import { PieceError, type PieceSplitter, type Pieces, validText } from '#sdk/upstream';
import { EventSplitter, isJson } from './events.js';

/** Size limit of an answer that is not streamed. */
const wholeLimitChars = 4 << 20;

/**
 * Splits a body into its JSON texts. Detects by its content, not by its header, whether it has events, lines of JSON, or a
 * single JSON value in any layout.
 */
export class BodySplitter implements PieceSplitter<string> {
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true });
  readonly #events: EventSplitter;
  #kind: 'events' | 'json' | 'lines' | 'whole' | undefined;
  #text = '';

  constructor(limitBytes: number) {
    this.#events = new EventSplitter(limitBytes);
  }

  push(bytes: Uint8Array): Pieces<string> {
    let text: string;
    let error: PieceError | undefined;
    try {
      text = this.#utf8.decode(bytes, { stream: true });
    } catch (cause) {
      text = validText(bytes);
      error = new PieceError('its answer is not valid UTF-8', { cause });
    }
    const pieces = this.#kind === 'events' ? this.#events.push(text) : this.#hold(text);
    return error ? { values: pieces.values, error } : pieces;
  }

  end(): Pieces<string> {
    if (this.#kind === 'events') return this.#events.end();
    const text = this.#text.trim();
    this.#text = '';
    return { values: text === '' ? [] : [text] };
  }

  #hold(text: string): Pieces<string> {
    this.#text += text;
    if (this.#text.length > wholeLimitChars)
      return { values: [], error: new PieceError(`its answer is longer than ${wholeLimitChars} characters`) };
    if (this.#kind === undefined) {
      const begun = this.#text.trimStart();
      if (begun === '') return { values: [] };
      if (begun[0] === '<') return { values: [], error: new PieceError('its answer is a page, not JSON') };
      this.#text = begun;
      this.#kind = begun[0] === '{' || begun[0] === '[' ? 'json' : 'events';
      if (this.#kind === 'events') return this.#events.push(this.#taken());
    }
    return { values: this.#kind === 'whole' || !text.includes('\n') ? [] : this.#lines() };
  }

  /** Complete lines of JSON; none where the first line is not JSON, because then the body is a single value. */
  #lines(): readonly string[] {
    const lines = this.#taken().split('\n');
    if (this.#kind === 'json') this.#kind = isJson(lines[0] ?? '') ? 'lines' : 'whole';
    if (this.#kind === 'lines') this.#text = lines.pop() ?? '';
    else this.#text = lines.join('\n');
    return this.#kind === 'lines' ? lines.filter((line) => line.trim() !== '') : [];
  }

  #taken(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }
}
