import type { Logprob } from '../../contracts/agent.js';

/** Log probabilities with all fields that clients of OpenAI's API require. */
export function fullLogprobs(logprobs: readonly Logprob[]): readonly Required<Logprob>[] {
  return logprobs.map(({ bytes = null, top_logprobs = [], ...each }) => ({
    ...each,
    bytes,
    top_logprobs: top_logprobs.map((other) => ({ bytes: null, ...other })),
  }));
}
