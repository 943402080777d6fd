import { randomId } from './random-id.js';
import { spliceable } from './raw-json.js';

/** JSON texts for a body that is serialised as a whole: each gets a placeholder, which is replaced afterwards. */
export class Verbatim {
  #mark = '';
  readonly #texts: string[] = [];

  /** The placeholder for a text. Ollama's API only has objects; anything else becomes the `input` of one. */
  object(text: string): Record<string, unknown> {
    const json = spliceable(text.trim() || '{}');
    if (!json?.startsWith('{')) return { input: text };
    this.#mark ||= randomId();
    this.#texts.push(json);
    return { [this.#mark]: this.#texts.length - 1 };
  }

  /** The body with the texts in place of their placeholders. */
  splice(body: string): string {
    if (this.#texts.length === 0) return body;
    return body.replace(new RegExp(`\\{"${this.#mark}":(\\d+)\\}`, 'g'), (_, place) => {
      return this.#texts[Number(place)] as string;
    });
  }
}
