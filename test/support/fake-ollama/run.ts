import type { Delta } from './lines.js';
import type { Params } from './mode-name.js';
import type { Reply } from './reply.js';
import type { GenerationRequest } from './request.js';
import { contentTokens } from './tokens.js';

/** One request as a mode sees it. */
export interface Run {
  readonly reply: Reply;
  readonly request: GenerationRequest;
  readonly params: Params;
  /** The content tokens of this answer. */
  readonly tokens: readonly string[];
  /** An explicit token list of the fake. */
  readonly explicitTokens: readonly string[] | undefined;
}

/** One behaviour of the fake. */
export interface Mode {
  /** Which parameter says how many content tokens come. */
  readonly counts: 'n' | 'k' | 'none';
  /** How many tokens when the parameter is absent. */
  readonly defaultCount?: number;
  /** Tokens that no option changes. */
  readonly fixedTokens?: readonly string[];
  /** Sends the answer. */
  play(run: Run): Promise<void>;
}

/** Sends each token in a line of its own, with the gap `ms`. */
export async function say(run: Run, tokens: readonly string[], part: keyof Delta = 'content'): Promise<void> {
  for (const token of tokens) {
    await run.reply.line({ [part]: token });
    await run.reply.pause(run.params.number('ms', 0));
  }
}

/** Answers as a healthy server does. */
export async function answer(run: Run): Promise<void> {
  await say(run, run.tokens);
  await run.reply.done();
}

/** Content tokens without end. */
export function endlessTokens(run: Run): Generator<string, never> {
  return contentTokens(run.params.number('seed', 1), run.explicitTokens);
}
