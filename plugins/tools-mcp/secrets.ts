import type { ServerConfig } from './config.js';

/** Shorter values, such as `1` or `true`, are no secrets, and would leave holes in any text. */
const shortestChars = 6;

/** Texts of a server's config that no log and no message may show. */
export class Secrets {
  readonly #texts: readonly string[];

  constructor({ env = {}, headers = {}, url }: Pick<ServerConfig, 'env' | 'headers' | 'url'>) {
    const values = [...Object.values(env), ...Object.values(headers)];
    // `Bearer abc`: a server may repeat the second word alone.
    const words = values.flatMap((value) => value.split(/\s+/));
    const query =
      url === undefined ? [] : [new URL(url).search.slice(1), ...new URL(url).searchParams.values()];
    this.#texts = [...new Set([...values, ...words, ...query])]
      .filter((text) => text.length >= shortestChars)
      // The longest first: a shorter one may be a part of it.
      .sort((a, b) => b.length - a.length);
  }

  /** The text without them, on one line and no longer than a limit. */
  hide(text: string, limitChars = 500): string {
    let shown = text;
    for (const secret of this.#texts) shown = shown.replaceAll(secret, '***');
    shown = shown.replace(/\s+/g, ' ').trim();
    return shown.length > limitChars ? `${shown.slice(0, limitChars)}…` : shown;
  }
}
