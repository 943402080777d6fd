import { type EndpointDocs, serverFrames, type TaskDefinition } from '#kernel';
import { z } from '#zod';
import { clientFrames, messageTypes } from './frames.js';

/** What the path of a connection names. */
export const clientParams = z.object({
  client_id: z
    .string()
    .regex(/^[A-Za-z0-9._~-]{1,128}$/)
    .describe('Who connects; chosen by the client'),
});

/** Types of frames that no task may take. */
export const ownTypes: ReadonlySet<string> = new Set([
  ...Object.keys(clientFrames),
  ...Object.keys(serverFrames),
]);

const endpointDocs: EndpointDocs = {
  summary: 'Chat over a WebSocket',
  description:
    'Text frames, one JSON object each. A second connection with the same id takes over. Close codes: 1001 shutting ' +
    'down, 1003 binary frame, 1008 too many frames, 1009 frame too large, 1011 internal, 1013 too many connections, ' +
    '4400 repeated bad frames, 4409 taken over, 4429 reads too slowly.',
  params: clientParams,
  receives: clientFrames,
  sends: serverFrames,
  errors: ['INVALID_REQUEST'],
};

/** The frames of `/ws/{client_id}`, those that tasks have registered included. */
export function docsOf(tasks: Iterable<TaskDefinition>): EndpointDocs {
  const registered = messageTypes(tasks).map(({ name, input = z.object({}) }) => [name, input]);
  return { ...endpointDocs, receives: { ...endpointDocs.receives, ...Object.fromEntries(registered) } };
}
