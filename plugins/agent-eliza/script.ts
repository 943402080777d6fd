/** ELIZA's rules for one language (Weizenbaum, "ELIZA", Communications of the ACM 9/1, 1966). */
export interface Script {
  /** Words by which the language is recognised. */
  readonly marks: ReadonlySet<string>;
  /** Notice that no model answers, with the remedy. */
  readonly demoNotice: string;
  /** Replacements in a phrase that is repeated back: "my" becomes "your". */
  readonly reflections: Readonly<Record<string, string>>;
  /** Tried in order; `$1` is the captured phrase, repeated back. */
  readonly rules: readonly { readonly pattern: RegExp; readonly answers: readonly string[] }[];
}
