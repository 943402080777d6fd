import { type EmbedRequest, embedInputLimit } from '../contracts/agent.js';
import { WaggleError } from '../errors.js';

/** Refuses a request with no input or too many. @throws INVALID_REQUEST */
export function checkInputs({ input }: EmbedRequest): void {
  if (input.length > 0 && input.length <= embedInputLimit) return;
  const issues = [`input: expected 1 to ${embedInputLimit} texts, got ${input.length}`];
  throw new WaggleError('INVALID_REQUEST', { issues });
}

/** Validates the vectors for a number of inputs: one for each, of finite numbers, all of one length. @throws AGENT_PROTOCOL */
export function checkVectors(agent: string, inputs: number, vectors: unknown): asserts vectors is number[][] {
  const why = Array.isArray(vectors) ? issueIn(inputs, vectors) : 'it has no list of vectors';
  if (why !== undefined) throw new WaggleError('AGENT_PROTOCOL', { agent, why });
}

/** The error of an agent that makes no embeddings: another one may. */
export function lacksEmbeddings(agent: string, why = 'it makes no embeddings'): WaggleError {
  return new WaggleError('AGENT_FAILED', { agent, why, refused: 400, lacks: 'embeddings' });
}

function issueIn(inputs: number, vectors: readonly unknown[]): string | undefined {
  if (vectors.length !== inputs) return `it has ${vectors.length} vectors for ${inputs} inputs`;
  const [first] = vectors;
  const length = Array.isArray(first) ? first.length : 0;
  for (const vector of vectors) {
    if (!isVector(vector)) return 'a vector is not a list of numbers';
    if (vector.length !== length) return 'its vectors differ in length';
  }
  return undefined;
}

/** A loop: there may be millions of numbers. */
function isVector(value: unknown): value is readonly number[] {
  if (!Array.isArray(value) || value.length === 0) return false;
  for (let at = 0; at < value.length; at++) if (!Number.isFinite(value[at])) return false;
  return true;
}
