import type { HttpRequest } from '../../contracts/transport.js';
import { z } from '../../contracts/zod.js';
import { expectValid } from '../expect-valid.js';

/** Headers of a request for an answer, in every dialect over HTTP. */
export const runHeaders = z.object({
  'X-Conversation-Id': z
    .string()
    .min(1)
    .max(128)
    .describe('Id of a conversation that the server remembers: send only the new messages')
    .optional(),
  'Idempotency-Key': z
    .string()
    .min(1)
    .max(128)
    .describe(
      'Repeating it, with the same user and request, joins the reply that it started; a different request is refused',
    )
    .optional(),
  'X-On-Disconnect': z
    .enum(['continue', 'cancel'])
    .describe(
      'Whether the reply ends when the client disconnects. Default: `continue` with an Idempotency-Key, else `cancel`',
    )
    .optional(),
});

/** The headers as they were read. */
export type RunHeaders = z.output<typeof runHeaders>;

/** @throws INVALID_REQUEST */
export async function readRunHeaders(request: Pick<HttpRequest, 'header'>): Promise<RunHeaders> {
  const names = Object.keys(runHeaders.shape);
  const given = names.flatMap((name) => {
    const value = request.header(name);
    return value === undefined ? [] : [[name, value]];
  });
  return expectValid(runHeaders, Object.fromEntries(given));
}
