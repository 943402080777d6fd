/** Numbers in the error text of a model server about a prompt that is too long. */
export interface Overflow {
  /** Tokens of the prompt. */
  readonly tokens?: number;
  /** Tokens of the context window. */
  readonly window?: number;
}

/** The wordings of real servers, the most specific first. */
const windows: readonly RegExp[] = [
  // llama.cpp, and Ollama with its runner
  /available context size \((\d+) tokens\)/i,
  // OpenAI, vLLM, Mistral and those that imitate them
  /(?:maximum|max|model's) context (?:length|window)(?: is| of)? (\d+)/i,
  // Anthropic
  /\d+ tokens > (\d+) maximum/i,
];
const prompts: readonly RegExp[] = [
  /request \((\d+) tokens\) exceeds/i,
  /\((\d+) in the messages/i,
  /(?:resulted in|contains?|has|with) (?:at least |about )?(\d+)(?: input)? tokens/i,
  /(\d+) tokens > \d+ maximum/i,
];

/** The numbers that a text names; none where it names none. */
export function tokensIn(text: string): Overflow {
  const [window, tokens] = [numberIn(text, windows), numberIn(text, prompts)];
  return { ...(window !== undefined && { window }), ...(tokens !== undefined && { tokens }) };
}

function numberIn(text: string, wordings: readonly RegExp[]): number | undefined {
  for (const wording of wordings) {
    const number = Number(wording.exec(text)?.[1]);
    if (Number.isSafeInteger(number) && number > 0) return number;
  }
  return undefined;
}
