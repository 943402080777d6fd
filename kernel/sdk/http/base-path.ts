const shape = /^(\/[\w.~-]+)+$/;
const dots = /\/\.{1,2}(\/|$)/;

/** The path below which a server is reached, `''` for the root; undefined for text that is none, or that browsers would read as something else. */
export function basePathOf(text: string): string | undefined {
  const path = text.replace(/\/$/, '');
  return path === '' || (shape.test(path) && !dots.test(path)) ? path : undefined;
}
