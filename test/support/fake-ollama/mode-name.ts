/** Every mode; a model of that name, with `?parameters`, chooses it. */
export const modeNames = [
  'normal',
  'slow-headers',
  'silent',
  'early-headers',
  'slow-tokens',
  'stall',
  'reset',
  'fin-cut',
  'no-done',
  'half-line',
  'done-reason-only',
  'error-line',
  'error-first',
  'malformed',
  'odd-lines',
  'huge-line',
  'bytewise',
  'bad-utf8',
  'burst',
  'no-last-newline',
  'escapes',
  'thinking',
  'tool-early',
  'tool-late',
  'done-text',
  'length',
  'http-404',
  'http-400',
  'http-429',
  'http-503',
  'http-502-html',
  'http-403-empty',
  'http-401-ndjson',
  'html-200',
  'redirect',
  'not-http',
  'endless',
  'done-open',
  'stale-keepalive',
] as const;

/** The name of a mode, without parameters. */
export type ModeName = (typeof modeNames)[number];

/** The parameters behind the `?` of a model name. */
export class Params {
  readonly #values: URLSearchParams;

  constructor(query: string) {
    this.#values = new URLSearchParams(query);
  }

  /** A number, or the default. */
  number(name: string, otherwise: number): number {
    const text = this.#values.get(name);
    return text === null || text === '' || Number.isNaN(Number(text)) ? otherwise : Number(text);
  }

  /** A text, or the default. */
  text(name: string, otherwise: string): string {
    return this.#values.get(name) ?? otherwise;
  }

  /** On when given and not `0`. */
  flag(name: string, otherwise = false): boolean {
    const text = this.#values.get(name);
    return text === null ? otherwise : text !== '0';
  }
}

/** Reads a model name as a mode; undefined for a plain model. */
export function parseMode(model: string): { readonly name: ModeName; readonly params: Params } | undefined {
  const [head = '', ...query] = model.split('?');
  const plain = head.replace(/:latest$/, '');
  const name = modeNames.find((mode) => mode === plain);
  return name === undefined ? undefined : { name, params: new Params(query.join('?')) };
}

/** Says whether the model name chooses a mode. */
export function isModeName(model: string): boolean {
  return parseMode(model) !== undefined;
}
