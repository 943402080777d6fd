import { clientChosenId, closeCode, type EndpointDocs, serverFrames, type TaskDefinition } from '#kernel';
import { z } from '#zod';
import { clientFrames, messageTypes } from './frames.js';

export const clientParams = z.object({
  client_id: z
    .string()
    .regex(/^[A-Za-z0-9._~-]{1,128}$/)
    .describe('Id of the client, chosen by itself'),
});

export const clientQuery = z.object({
  user_id: clientChosenId
    .describe(
      'The user that the connection belongs to: that of the credentials when absent, in an open server the client itself. Another one needs the scope `act-as`',
    )
    .optional(),
});

/** Frame types that tasks must not use. */
export const ownTypes: ReadonlySet<string> = new Set([
  ...Object.keys(clientFrames),
  ...Object.keys(serverFrames),
]);

const closings = [
  `${closeCode.goingAway} shutting down`,
  `${closeCode.unsupportedData} binary frame`,
  `${closeCode.policyViolation} too many frames`,
  `${closeCode.tooLarge} frame too large`,
  `${closeCode.internalError} internal error`,
  `${closeCode.tryAgainLater} too many connections`,
  `${closeCode.forbidden} credentials of another user`,
  `${closeCode.badFrames} repeated bad frames`,
  `${closeCode.takenOver} taken over`,
  `${closeCode.slowReader} reads too slowly`,
];

const endpointDocs: EndpointDocs = {
  summary: 'Chat over a WebSocket',
  description:
    'Text frames, one JSON object each. A second connection of the user with the same id takes over. Close codes: ' +
    `${closings.join(', ')}.`,
  params: clientParams,
  query: clientQuery,
  receives: clientFrames,
  sends: serverFrames,
  errors: ['INVALID_REQUEST'],
};

/** The frames of `/ws/{client_id}`, including those of registered tasks. */
export function docsOf(tasks: Iterable<TaskDefinition>): EndpointDocs {
  const registered = messageTypes(tasks).map(({ name, input = z.object({}) }) => [name, input]);
  return { ...endpointDocs, receives: { ...endpointDocs.receives, ...Object.fromEntries(registered) } };
}
