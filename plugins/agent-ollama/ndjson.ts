import { PieceError, type PieceSplitter, type Pieces, validText } from '#sdk/upstream';
import { withRawArguments } from './tool-calls.js';

/** One JSON object. */
export type Line = Readonly<Record<string, unknown>>;

const lineFeed = 10;

/** How Ollama writes the line of a token without escapes. To cut it out takes a sixth of the time of JSON.parse. */
const tokenLine =
  /^\{"model":"[^"\\\p{Cc}]*","created_at":"[^"\\\p{Cc}]*","message":\{"role":"assistant","content":"([^"\\\p{Cc}]*)"\},"done":false\}$/u;

/** What there is in a stream of events besides data. */
const eventField = /^(:|event:|id:|retry:|data: ?\[DONE\])/;

/** Splits the bytes of NDJSON into objects. Whole lines are decoded, so a character that two reads share stays whole. */
export class NdjsonSplitter implements PieceSplitter<Line> {
  readonly #limitBytes: number;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true });
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #isBegun = false;
  /** It is one object on several lines. */
  #isWhole = false;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** All lines that `chunk` completes. */
  push(chunk: Uint8Array): Pieces<Line> {
    const end = chunk.lastIndexOf(lineFeed) + 1;
    if (end === 0 || this.#isWhole) return this.#hold(chunk);
    const whole =
      this.#heldBytes > 0 ? Buffer.concat([...this.#held, chunk.subarray(0, end)]) : chunk.subarray(0, end);
    this.#held = [];
    this.#heldBytes = 0;
    const lines = this.#parse(whole);
    if (lines.error || end === chunk.length) return lines;
    const { error } = this.#hold(chunk.subarray(end));
    return error ? { values: lines.values, error } : lines;
  }

  /** The last line, where it has no line feed. */
  end(): Pieces<Line> {
    const rest = Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    return this.#parse(rest);
  }

  #hold(piece: Uint8Array): Pieces<Line> {
    this.#heldBytes += piece.length;
    if (this.#heldBytes > this.#limitBytes)
      return { values: [], error: new PieceError(`a line is longer than ${this.#limitBytes} bytes`) };
    // The bytes are the caller's.
    this.#held.push(Buffer.from(piece));
    return { values: [] };
  }

  #parse(bytes: Uint8Array): Pieces<Line> {
    let text: string;
    try {
      text = this.#utf8.decode(bytes);
    } catch (cause) {
      const before = validText(bytes);
      const lines = this.#read(before.slice(0, before.lastIndexOf('\n') + 1), bytes);
      return lines.error
        ? lines
        : { ...lines, error: new PieceError('a line is not valid UTF-8', { cause }) };
    }
    return this.#read(text, bytes);
  }

  #read(text: string, bytes: Uint8Array): Pieces<Line> {
    const values: Line[] = [];
    for (const line of text.split('\n')) {
      if (line.length > this.#limitBytes)
        return { values, error: new PieceError(`a line is longer than ${this.#limitBytes} bytes`) };
      if (line.trim() === '') continue;
      let value: unknown;
      try {
        const content = tokenLine.exec(line)?.[1];
        value = content === undefined ? withRawArguments(JSON.parse(line), line) : { message: { content } };
      } catch (cause) {
        if (eventField.test(line)) continue;
        if (!this.#isBegun && line.trim() === '{') return this.#whole(text, bytes);
        // Some proxies make events of lines.
        value = parsed(/^data: ?(.*)/s.exec(line)?.[1] ?? '');
        const why = line.trim().startsWith('<')
          ? 'its answer is a page, not JSON'
          : 'a line is not valid JSON';
        if (value === undefined) return { values, error: new PieceError(why, { cause }) };
      }
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        return { values, error: new PieceError('a line is not a JSON object') };
      values.push(value as Line);
      this.#isBegun = true;
    }
    return { values };
  }

  /** A single answer that is laid out on several lines. */
  #whole(text: string, bytes: Uint8Array): Pieces<Line> {
    const value = parsed(text);
    if (value !== undefined) return { values: [value as Line] };
    if (this.#isWhole) return { values: [], error: new PieceError('its answer is not valid JSON') };
    this.#isWhole = true;
    return this.#hold(bytes);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The caller says what it means that this is not JSON.
  }
}
