import { z } from 'zod';
import { type ChatCommand, chatFields, check, clientChosenId, parseJson, WaggleError } from '#kernel';

const request = z.object({
  ...chatFields,
  requestId: clientChosenId.optional(),
  conversationId: clientChosenId.optional(),
  priority: z.enum(['low', 'normal', 'high']).optional(),
  positions: z.boolean().default(false),
  onDisconnect: z.enum(['continue', 'cancel']).optional(),
});

/** What a client may send, by `type`. Fields that are not named here are ignored. */
const clientFrames = { stream_request: request, message: request, ping: z.object({}) };

export type ChatFrame = z.infer<typeof request>;
export type ClientFrame =
  | ({ readonly type: 'stream_request' | 'message' } & ChatFrame)
  | { readonly type: 'ping' };

/** @throws INVALID_JSON, TOO_DEEP, INVALID_FRAME with the path of each wrong field, UNKNOWN_TYPE */
export async function readFrame(text: string): Promise<ClientFrame> {
  const json = parseJson(text);
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new WaggleError('INVALID_FRAME', { mistakes: ['expected a JSON object'] });
  const { type } = json as { readonly type?: unknown };
  if (typeof type !== 'string')
    throw new WaggleError('INVALID_FRAME', { mistakes: ['type: expected a string'] });
  const known = Object.keys(clientFrames);
  if (!known.includes(type)) throw new WaggleError('UNKNOWN_TYPE', { type: type.slice(0, 64), known });
  if (type === 'ping') return { type };
  const { value, mistakes } = await check(request, json);
  if (mistakes) throw new WaggleError('INVALID_FRAME', { mistakes });
  return { ...value, type: type as 'stream_request' | 'message' };
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
export function commandOf(frame: ChatFrame, userId: string): ChatCommand & { readonly requestId?: string } {
  const { positions: _, priority: __, onDisconnect: ___, ...command } = frame;
  return { ...command, userId } as ChatCommand & { readonly requestId?: string };
}
