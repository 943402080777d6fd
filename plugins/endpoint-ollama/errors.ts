import { type ClientErrorCode, type ErrorAnswer, WaggleError } from '#kernel';
import { errorHeaders, modelErrorStatus, unknownModelIn } from '#sdk/dialect';
import { z } from '#zod';

/** An error in the format of Ollama's API. */
export const errorObject = z.object({ error: z.string() });

/** The response to an error. */
export function ollamaError(error: WaggleError<ClientErrorCode>, streamId: string | undefined): ErrorAnswer {
  const status = modelErrorStatus(error);
  return { status, body: ollamaErrorBody(error), headers: errorHeaders(error, status, streamId) };
}

/** The body alone, for an error in a stream that has begun. */
export function ollamaErrorBody(error: WaggleError<ClientErrorCode>): z.infer<typeof errorObject> {
  const model = unknownModelIn(error);
  if (model !== undefined) return { error: `model '${model}' not found` };
  // Clients look for these texts as they are.
  if (WaggleError.is(error, 'INVALID_REQUEST')) return { error: error.details.issues.join('; ') };
  return { error: error.message };
}
