import { randomBytes } from 'node:crypto';
import { spliceable } from '#sdk';

/** JSON that goes into a body as it is written, though somebody else turns that into text. */
export class Verbatim {
  readonly #mark = randomBytes(12).toString('hex');
  readonly #texts: string[] = [];

  /** What stands for it until then. Ollama takes an object and nothing else: anything else goes in one, as its `input`. */
  object(text: string): Record<string, unknown> {
    const json = spliceable(text.trim() || '{}');
    if (!json?.startsWith('{')) return { input: text };
    this.#texts.push(json);
    return { [this.#mark]: this.#texts.length - 1 };
  }

  /** The body with what was meant. */
  splice(body: string): string {
    if (this.#texts.length === 0) return body;
    return body.replace(new RegExp(`\\{"${this.#mark}":(\\d+)\\}`, 'g'), (_, place) => {
      return this.#texts[Number(place)] as string;
    });
  }
}
