import {
  chatFields,
  clientChosenId,
  type HttpRequest,
  replacesField,
  type StartCommand,
  toolResults,
} from '#kernel';
import { expectValid, requiredUser, turnFields, userField } from '#sdk';
import { integerText } from '#sdk/http';
import { z } from '#zod';

/** The body of `POST /chat` and `POST /chat/stream`. */
export const chatBody = z.strictObject({
  ...chatFields,
  content: chatFields.content.optional().describe('Required without `tool_results`'),
  tool_results: toolResults.optional(),
  user_id: userField(
    'Required in an open server; else that of the credentials, or another one with the scope `act-as`',
  ),
  conversation_id: clientChosenId.optional(),
  request_id: clientChosenId
    .optional()
    .describe(
      'Repeating it, with the same user and request, joins the reply that it started; a different request is refused',
    ),
  replaces: replacesField.optional(),
  on_disconnect: z.enum(['continue', 'cancel', 'finish']).optional(),
  priority: z.enum(['low', 'normal', 'high']).optional(),
});

/** @throws INVALID_REQUEST with the path of each wrong field, FORBIDDEN */
export async function readCommand(request: HttpRequest): Promise<StartCommand> {
  const { principal } = request;
  const command = await expectValid(chatBody, await request.json());
  const { user_id, conversation_id, request_id, on_disconnect, agent, model, priority, replaces, ...turn } =
    command;
  return {
    ...turnFields({ ...turn, toolResults: turn.tool_results }),
    agent,
    model,
    priority,
    userId: requiredUser(principal, user_id, 'user_id'),
    principal,
    conversationId: conversation_id,
    replaces,
    requestId: request_id,
    onDisconnect: on_disconnect,
  };
}

/** The query of `GET /chat/stream/{stream_id}`. */
export const resumeQuery = z.object({
  position: integerText(0).describe('UTF-16 code units of content that the client already has').default('0'),
});

/** Position to resume from: `?position=`, or the `Last-Event-ID` of a browser's EventSource. @throws INVALID_REQUEST */
export async function readPosition(position: string | undefined): Promise<number> {
  return Number((await expectValid(resumeQuery, { position })).position);
}
