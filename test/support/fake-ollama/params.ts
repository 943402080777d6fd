/** The parameters behind the `?` of a model name. */
export class Params {
  readonly #values: URLSearchParams;

  constructor(query = '') {
    this.#values = new URLSearchParams(query);
  }

  /** A number, or the default. */
  number(name: string, otherwise: number): number {
    const text = this.#values.get(name) ?? '';
    return text === '' || Number.isNaN(Number(text)) ? otherwise : Number(text);
  }

  /** A text, or the default. */
  text(name: string, otherwise: string): string {
    return this.#values.get(name) ?? otherwise;
  }

  /** On when given and not `0`. */
  flag(name: string, otherwise = false): boolean {
    return this.text(name, otherwise ? '1' : '0') !== '0';
  }
}
