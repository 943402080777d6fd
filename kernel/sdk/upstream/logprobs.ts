import type { Logprob } from '../../contracts/agent.js';
import { isJsonObject } from '../json.js';

/** The log probabilities in an answer of a model server; undefined where there are none that can be read. */
export function logprobsIn(value: unknown): readonly Logprob[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const read = value.flatMap((each) => {
    const one = tokenIn(each);
    if (!one) return [];
    const { top_logprobs: top } = each as Readonly<Record<string, unknown>>;
    return Array.isArray(top) ? { ...one, top_logprobs: top.flatMap((other) => tokenIn(other) ?? []) } : one;
  });
  return read.length > 0 ? read : undefined;
}

function tokenIn(value: unknown): Omit<Logprob, 'top_logprobs'> | undefined {
  if (!isJsonObject(value)) return undefined;
  const { token, logprob, bytes } = value;
  if (typeof token !== 'string' || typeof logprob !== 'number') return undefined;
  const isBytes = Array.isArray(bytes) && bytes.every((byte) => typeof byte === 'number');
  return { token, logprob, ...(isBytes && { bytes }) };
}
