import type { ReasoningEffort } from '#kernel';
import type { CountBody } from './body.js';

/** Whether and how the thinking of an answer is shown. */
export type Display = 'shown' | 'omitted' | 'none';

/** Clients that did not ask for thinking expect an answer without it, as in `content[0].text`. */
export function displayOf({ thinking }: Pick<CountBody, 'thinking'>): Display {
  if (!thinking || thinking.type === 'disabled') return 'none';
  return thinking.display === 'omitted' ? 'omitted' : 'shown';
}

/** The effort of a request; undefined for the one that the model has by itself. */
export function effortOf({
  thinking,
  output_config: config,
}: Pick<CountBody, 'thinking' | 'output_config'>): ReasoningEffort | undefined {
  if (thinking?.type === 'disabled') return 'none';
  if (config?.effort) return config.effort;
  if (thinking?.type !== 'enabled' || thinking.budget_tokens == null) return undefined;
  if (thinking.budget_tokens < 4096) return 'low';
  return thinking.budget_tokens < 16_384 ? 'medium' : 'high';
}
