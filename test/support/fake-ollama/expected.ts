import { Params, parseMode } from './mode-name.js';
import { modes } from './modes.js';
import { thoughtsOf } from './modes-healthy.js';
import type { Mode } from './run.js';
import { contentTokens, defaultTokenCount } from './tokens.js';

const defaultCutAfter = 5;

/** The content tokens that a mode sends for these parameters. */
export function tokensOf(mode: Mode, params: Params, explicit?: readonly string[]): string[] {
  const list = mode.fixedTokens ?? explicit;
  const whole = mode.fixedTokens?.length ?? mode.defaultCount ?? explicit?.length ?? defaultTokenCount;
  const count = {
    n: () => params.number('n', whole),
    k: () => params.number('k', defaultCutAfter),
    none: () => 0,
  }[mode.counts]();
  const endless = contentTokens(params.number('seed', 1), list);
  return Array.from({ length: count }, () => endless.next().value);
}

/** The content tokens of an answer by this model; for `endless` and `deaf` the first `n`. */
export function expectedTokens(model: string, tokens?: readonly string[]): string[] {
  const parsed = parseMode(model) ?? { name: 'normal' as const, params: new Params('') };
  return tokensOf(modes[parsed.name], parsed.params, tokens);
}

/** The whole content of an answer by this model. */
export function expectedText(model: string, tokens?: readonly string[]): string {
  return expectedTokens(model, tokens).join('');
}

/** The whole thinking of an answer by a model that thinks. */
export function expectedThinking(model: string): string {
  return thoughtsOf({ params: parseMode(model)?.params ?? new Params('') }).join('');
}
