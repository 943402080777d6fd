import type { Principal } from '../../contracts/access.js';
import type { ChatMessage, ChatOptions } from '../../contracts/agent.js';
import { clientChosenId } from '../../contracts/chat-fields.js';
import type { StartCommand } from '../../contracts/stream.js';
import { WaggleError } from '../../errors.js';
import { actingUser } from '../acting-user.js';
import { randomId } from '../random-id.js';
import type { RunHeaders } from './run-headers.js';

/** A request for an answer, read from a dialect. */
export interface DialectRequest {
  /** The model as the client names it: an agent, or `agent/model`. */
  readonly model: string;
  /** The command without its agent. */
  readonly command: StartCommand;
  /** Parts of the request that no agent gets, in words. */
  readonly leftOut: readonly string[];
}

/** The parts of a request that differ between dialects. */
export interface Asked {
  /** `POST /v1/chat/completions` */
  readonly endpoint: string;
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly options: ChatOptions;
  readonly leftOut?: readonly string[];
  /** The user that the request names. */
  readonly user?: string | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | null | undefined;
}

/** Everything else about a request: who asks, and what happens when they leave. @throws FORBIDDEN for another user */
export function dialectRequest(
  asked: Asked,
  headers: RunHeaders,
  principal: Principal | undefined,
): DialectRequest {
  const { endpoint, model, messages, options, leftOut = [], metadata } = asked;
  const { 'X-Conversation-Id': conversationId, 'Idempotency-Key': key } = headers;
  const user = actingUser(principal, asked.user);
  // A stranger shares nothing with other strangers.
  const isStranger = user === undefined;
  const isStored = conversationId !== undefined && !isStranger;
  return {
    model,
    leftOut: [
      ...leftOut,
      ...(conversationId !== undefined && isStranger ? ['"X-Conversation-Id" without a "user"'] : []),
    ],
    command: {
      endpoint,
      messages,
      options,
      content: '',
      userId: user ?? `stranger-${randomId()}`,
      principal,
      conversationId: isStored ? conversationId : undefined,
      stateless: !isStored,
      // Without a user, the key of another client could be the same.
      requestId: user && key,
      // A client that sends a key intends to come back for the answer.
      onDisconnect: headers['X-On-Disconnect'] ?? (key === undefined ? 'cancel' : 'continue'),
      ...(metadata && { metadata }),
    },
  };
}

/** The id of the user that a field of a request names. @throws INVALID_REQUEST */
export function userIn(field: string, id: unknown): string | undefined {
  if (typeof id !== 'string' || id === '') return undefined;
  const { success } = clientChosenId.safeParse(id);
  if (success) return id;
  throw new WaggleError('INVALID_REQUEST', { issues: [`${field}: expected string 1-128 characters`] });
}
