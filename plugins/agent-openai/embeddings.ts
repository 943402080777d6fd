import type { Embeddings, EmbedRequest } from '#kernel';
import { ExchangeError, faultIn, ModelError, modelError, PieceError } from '#sdk/upstream';
import { usageIn } from './usage.js';

type Fields = Readonly<Record<string, unknown>>;

const floatBytes = 4;

/** Body of `/embeddings`. Base64 takes a third of the bytes, and a tenth of the time to read. */
export function embedBodyOf(
  { input, dimensions, more }: EmbedRequest,
  model: string,
  encoding: 'base64' | undefined,
): object {
  return {
    ...more,
    ...(model !== '' && { model }),
    input,
    ...(dimensions !== undefined && { dimensions }),
    // Some servers refuse the name of the default, too.
    encoding_format: encoding,
  };
}

/** Whether a server refuses base64. */
export function refusesEncoding(error: unknown): boolean {
  if (!(error instanceof ModelError)) return false;
  const { status = 0, code = '' } = error.info;
  return (status === 400 || status === 422) && /encoding_?format|base64/i.test(`${code} ${error.message}`);
}

/** The answer of `/embeddings`; its vectors are not validated. @throws ExchangeError, ModelError, PieceError */
export function embeddingsIn(text: string): Embeddings {
  const answer = jsonIn(text);
  const { data = answer, model, usage } = answer as Fields;
  if (!Array.isArray(data)) {
    const fault = faultIn(answer);
    if (fault) throw modelError(fault);
    throw new PieceError('it has no list of vectors');
  }
  const used = usageIn(usage) ?? usageIn({ prompt_tokens: (usage as Fields | undefined)?.total_tokens });
  return {
    embeddings: inOrder(data.map((each) => (each ?? {}) as Fields)),
    ...(used && { usage: used }),
    ...(typeof model === 'string' && model !== '' && { model }),
  };
}

function jsonIn(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {} // Reported below.
  throw new ExchangeError('CONTENT_TYPE', 'its answer is not JSON');
}

/** The vectors by `index`; as they come where it is the same for all, or missing. @throws PieceError */
function inOrder(entries: readonly Fields[]): readonly (readonly number[])[] {
  const vectors = entries.map(({ embedding }) => vectorOf(embedding));
  const indexes = entries.map(({ index }) => index);
  if (new Set(indexes).size === 1) return vectors;
  const sorted: (readonly number[])[] = [];
  for (const [at, vector] of vectors.entries()) {
    const index = indexes[at];
    if (!Number.isInteger(index) || sorted[index as number] || !vectors[index as number])
      throw new PieceError('its vectors have no order');
    sorted[index as number] = vector;
  }
  return sorted;
}

/** A vector as a list, or in base64 as 32-bit numbers, little-endian. @throws PieceError */
function vectorOf(embedding: unknown): readonly number[] {
  if (typeof embedding !== 'string') return embedding as readonly number[];
  const bytes = Buffer.from(embedding, 'base64');
  if (bytes.length % floatBytes !== 0) throw new PieceError('a vector has half a number');
  // Little-endian, as the processor. A loop, because there may be millions of numbers.
  const numbers = new Float32Array(new Uint8Array(bytes).buffer);
  const vector = new Array<number>(numbers.length);
  for (let at = 0; at < numbers.length; at++) vector[at] = numbers[at] as number;
  return vector;
}
