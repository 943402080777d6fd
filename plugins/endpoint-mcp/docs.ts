import type { ClientErrorCode, ErrorAnswer, RouteDocs, WaggleError } from '#kernel';
import { statusOf } from '#sdk';
import { z } from '#zod';

const message = z.looseObject({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string().optional(),
});
const error = z.object({
  jsonrpc: z.literal('2.0'),
  // That of the request, where it is known.
  id: z.union([z.string(), z.number(), z.null()]),
  error: z.object({
    code: z.int(),
    message: z.string(),
    data: z.unknown().optional(),
  }),
});
const headers = z.object({
  'Mcp-Session-Id': z.string().describe('The session, in the older era').optional(),
  'Mcp-Protocol-Version': z.string().describe('The revision that the client speaks').optional(),
});
const events = { 'text/event-stream': message };

const refused = (description: string) => ({ description, content: { 'application/json': error } });
const bad = refused('It is no message of the protocol, or not in its place');
const unknownSession = refused('There is no such session, or no longer');
const unacceptable = refused('The client does not accept events');
const noSession = refused('It needs a session of the older era, and names none');

/** `POST /mcp` */
export const postDocs: RouteDocs = {
  summary: 'Send a message of the Model Context Protocol',
  headers,
  body: message,
  responses: {
    200: {
      description: 'Progress, and the response last; an error before the start as JSON',
      content: { ...events, 'application/json': message },
    },
    202: { description: 'A notification was accepted', content: {} },
    400: bad,
    404: unknownSession,
    406: unacceptable,
  },
  error,
  errors: ['QUEUE_FULL'],
};

/** `GET /mcp` */
export const getDocs: RouteDocs = {
  summary: 'Wait for news, in a session of the older era',
  headers,
  responses: {
    200: { description: 'Notifications as they come', content: events },
    400: bad,
    404: unknownSession,
    405: noSession,
    406: unacceptable,
    409: refused('The session has such a stream already'),
  },
  error,
};

/** `DELETE /mcp` */
export const deleteDocs: RouteDocs = {
  summary: 'End a session of the older era',
  headers,
  responses: {
    200: { description: 'The session has ended', content: {} },
    400: bad,
    404: unknownSession,
    405: noSession,
  },
  error,
};

/** An error of the transport, in the words of JSON-RPC. */
export function jsonRpcError(failure: WaggleError<ClientErrorCode>): ErrorAnswer {
  const { code, message: text, retryAfterMs } = failure;
  const retry = retryAfterMs === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) };
  const number = code === 'INVALID_JSON' ? -32700 : -32000;
  const body: z.infer<typeof error> = {
    jsonrpc: '2.0',
    id: null,
    error: { code: number, message: text, data: { code } },
  };
  return { status: statusOf(failure), body, headers: retry };
}
