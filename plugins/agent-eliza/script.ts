/** What ELIZA knows of one language (Weizenbaum, "ELIZA", Communications of the ACM 9/1, 1966). */
export interface Script {
  /** Words that give the language away. */
  readonly marks: ReadonlySet<string>;
  /** That no model answers, and what to do about that. */
  readonly demoNotice: string;
  /** How a phrase turns round when it is said back: "my" becomes "your". */
  readonly reflections: Readonly<Record<string, string>>;
  /** Tried in order; `$1` stands for what the pattern caught, said back. */
  readonly rules: readonly { readonly pattern: RegExp; readonly answers: readonly string[] }[];
}
