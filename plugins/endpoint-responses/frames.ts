import { WaggleError } from '#kernel';
import { checkNow, fromClient, isJsonObject, parseJson } from '#sdk';
import { z } from '#zod';

const responseId = z.string().min(1).max(256);

/** Frames of a client besides `response.create`. The prefix marks what is no part of the API of others. */
export const ownFrames = {
  'waggle:cancel': z.object({
    response_id: responseId.nullish().describe('The running response of the connection when absent'),
  }),
  'waggle:resume': z.object({
    response_id: responseId,
    starting_after: z
      .int()
      .min(0)
      .nullish()
      .describe('The `sequence_number` of the last event that the client has'),
  }),
};

type OwnFrames = typeof ownFrames;

/** A frame of a client. */
export type ClientFrame =
  | { readonly type: 'response.create'; readonly body: Readonly<Record<string, unknown>> }
  | { [T in keyof OwnFrames]: { readonly type: T } & z.output<OwnFrames[T]> }[keyof OwnFrames];

/** @throws INVALID_JSON, INVALID_REQUEST, UNKNOWN_TYPE */
export function readFrame(text: string): ClientFrame {
  const json = parseJson(text, Number.POSITIVE_INFINITY);
  if (!isJsonObject(json)) throw new WaggleError('INVALID_REQUEST', { issues: ['expected a JSON object'] });
  const { type } = json;
  if (type === 'response.create') return { type, body: bodyIn(json) };
  if (typeof type !== 'string')
    throw new WaggleError('INVALID_REQUEST', { issues: ['type: expected a string'] });
  if (!Object.hasOwn(ownFrames, type))
    throw new WaggleError('UNKNOWN_TYPE', {
      type: type.slice(0, 64),
      known: ['response.create', ...Object.keys(ownFrames)],
    });
  const result = checkNow(ownFrames[type as keyof OwnFrames], json, fromClient);
  if (result instanceof Promise) throw new TypeError('a schema of frames must not wait');
  if (result.issues) throw new WaggleError('INVALID_REQUEST', { issues: result.issues });
  return { ...result.value, type } as ClientFrame;
}

/** The fields of a response: in the frame itself, or in `response`, as the Realtime API has it. */
function bodyIn({ type: _, ...frame }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { response, ...rest } = frame;
  return isJsonObject(response) ? { ...response, ...rest } : frame;
}
