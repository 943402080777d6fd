import { type Mode, modes, parseMode } from './modes.js';
import { Params } from './params.js';
import { contentTokens, defaultTokenCount, thinkingTokens } from './tokens.js';

const normal = { name: 'normal', params: new Params() } as const;

/** The content tokens of a mode with these parameters; for `endless` the first `n`. */
export function tokensOf(mode: Mode, params: Params, explicit?: readonly string[]): string[] {
  const whole = mode.fixedTokens?.length ?? mode.defaultCount ?? explicit?.length ?? defaultTokenCount;
  const count = mode.counts === 'n' ? params.number('n', whole) : params.number('k', 5);
  const endless = contentTokens(params.number('seed', 1), mode.fixedTokens ?? explicit);
  return Array.from({ length: mode.counts === 'none' ? 0 : count }, () => endless.next().value);
}

/** The content tokens of an answer by this model. */
export function expectedTokens(model: string, tokens?: readonly string[]): string[] {
  const { name, params } = parseMode(model) ?? normal;
  return tokensOf(modes[name], params, tokens);
}

/** The whole content of an answer by this model. */
export function expectedText(model: string, tokens?: readonly string[]): string {
  return expectedTokens(model, tokens).join('');
}

/** The whole thinking of an answer by a model that thinks. */
export function expectedThinking(model: string): string {
  return thinkingTokens((parseMode(model) ?? normal).params).join('');
}
