import { z } from 'zod';
import { type ChatCommand, chatFields, check, clientChosenId, WaggleError } from '#kernel';

/** The body of `POST /chat` and `POST /chat/stream`. */
export const chatBody = z.strictObject({
  ...chatFields,
  user_id: clientChosenId,
  conversation_id: clientChosenId.optional(),
  request_id: clientChosenId.optional(),
});

/** @throws INVALID_REQUEST with the path of each wrong field */
export async function readCommand(
  body: unknown,
): Promise<ChatCommand & { readonly requestId: string | undefined }> {
  const { value, mistakes } = await check(chatBody, body);
  if (mistakes) throw new WaggleError('INVALID_REQUEST', { mistakes });
  const { user_id: userId, conversation_id: conversationId, request_id: requestId, ...rest } = value;
  return { ...rest, userId, conversationId, requestId };
}
