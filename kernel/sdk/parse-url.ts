/**
 * A URL, or undefined for a text that is none. In the place of `URL.canParse`, which on Node.js 20 refuses `https://bücher.example`
 * once it is compiled.
 */
export function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
