import { z } from 'zod';
import { chatFields, check, clientChosenId, type StartCommand, WaggleError } from '#kernel';

/** The body of `POST /chat` and `POST /chat/stream`. */
export const chatBody = z.strictObject({
  ...chatFields,
  user_id: clientChosenId,
  conversation_id: clientChosenId.optional(),
  request_id: clientChosenId.optional(),
  on_disconnect: z.enum(['continue', 'cancel']).optional(),
});

/** @throws INVALID_REQUEST with the path of each wrong field */
export async function readCommand(body: unknown): Promise<StartCommand> {
  const { value, mistakes } = await check(chatBody, body);
  if (mistakes) throw new WaggleError('INVALID_REQUEST', { mistakes });
  const { user_id, conversation_id, request_id, on_disconnect, ...rest } = value;
  return {
    ...rest,
    userId: user_id,
    conversationId: conversation_id,
    requestId: request_id,
    onDisconnect: on_disconnect,
  };
}

/** Where a reader goes on, from `?position=` or the `Last-Event-ID` of a browser's EventSource. @throws INVALID_REQUEST */
export function readPosition(query: string | null, lastEventId: string | undefined): number {
  const text = query ?? lastEventId ?? '0';
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new WaggleError('INVALID_REQUEST', { mistakes: ['position: expected an integer >= 0'] });
}
