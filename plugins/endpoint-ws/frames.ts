import { z } from 'zod';
import { chatFields, check, clientChosenId, parseJson, type StartCommand, WaggleError } from '#kernel';

const request = z.object({
  ...chatFields,
  requestId: clientChosenId.optional(),
  conversationId: clientChosenId.optional(),
  priority: z.enum(['low', 'normal', 'high']).optional(),
  positions: z.boolean().default(false),
  onDisconnect: z.enum(['continue', 'cancel']).optional(),
});
const streamId = z.string().min(1).max(128);

/** What a client may send, by `type`. Fields that are not named here are ignored. */
export const clientFrames = {
  stream_request: request,
  message: request,
  cancel: z.object({ streamId }),
  resume: z.object({ streamId, position: z.int().min(0).default(0), positions: z.boolean().default(false) }),
  ping: z.object({}),
};

type ClientFrames = typeof clientFrames;
/** A request for an answer. */
export type ChatFrame = z.infer<typeof request>;
/** Any frame that a client may send. */
export type ClientFrame = {
  [T in keyof ClientFrames]: { readonly type: T } & z.infer<ClientFrames[T]>;
}[keyof ClientFrames];

/** @throws INVALID_JSON, TOO_DEEP, INVALID_FRAME with the path of each wrong field, UNKNOWN_TYPE */
export async function readFrame(text: string): Promise<ClientFrame> {
  const json = parseJson(text);
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new WaggleError('INVALID_FRAME', { mistakes: ['expected a JSON object'] });
  const { type } = json as { readonly type?: unknown };
  if (typeof type !== 'string')
    throw new WaggleError('INVALID_FRAME', { mistakes: ['type: expected a string'] });
  if (!isKnown(type))
    throw new WaggleError('UNKNOWN_TYPE', { type: type.slice(0, 64), known: Object.keys(clientFrames) });
  const { value, mistakes } = await check<object>(clientFrames[type], json);
  if (mistakes) throw new WaggleError('INVALID_FRAME', { mistakes });
  return { ...value, type } as ClientFrame;
}

/** The `requestId` of a frame that could not be read otherwise, for its error. */
export function requestIdOf(text: string): string | undefined {
  try {
    const { requestId } = parseJson(text) as { readonly requestId?: unknown };
    return typeof requestId === 'string' ? requestId.slice(0, 128) : undefined;
  } catch {
    return undefined; // What is no JSON has no requestId either.
  }
}

/** What the chat layer is asked for on behalf of `userId`. */
export function commandOf(frame: ChatFrame, userId: string): StartCommand {
  const { content, agent, model, options, conversationId, requestId, onDisconnect } = frame;
  return { content, userId, conversationId, agent, model, options, requestId, onDisconnect };
}

function isKnown(type: string): type is keyof ClientFrames {
  return Object.hasOwn(clientFrames, type);
}
