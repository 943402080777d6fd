import { createHash } from 'node:crypto';
import { type EventBus, type KernelEvents, toClientError } from '#kernel';

/** Events that webhooks can tell. */
export const eventNames = [
  ...(['chat:accepted', 'chat:started', 'chat:finished', 'chat:failed', 'chat:cancelled'] as const),
  ...(['task:queued', 'task:started', 'task:retrying', 'task:succeeded', 'task:failed'] as const),
  ...(['task:cancelled', 'task:rejected', 'task:missed'] as const),
] as const;
export type EventName = (typeof eventNames)[number];

/** Ends of a reply. */
const ends: ReadonlySet<string> = new Set<EventName>(['chat:finished', 'chat:failed', 'chat:cancelled']);
/** Each reply is a run of this task as well. */
const taskOfReplies = 'chat:message';
const messageChars = 1000;

/** The contents of a webhook: never a text of a conversation, and no id that gives access to anything. */
export interface Told {
  readonly type: EventName;
  /** Messages about one reply or run arrive in order. */
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface AnyEvent {
  readonly [key: string]: unknown;
  readonly streamId?: string;
  readonly taskId?: string;
  readonly name?: string;
  readonly conversationId?: string;
}

/** Reads events of the bus. */
export class WebhookEvents {
  /** Conversations of replies that have not ended. */
  readonly #conversations = new Map<string, string>();

  /** `tell` gets each wanted event. Others are only looked at for the conversation of a reply. */
  listen(
    bus: Pick<EventBus, 'on'>,
    isWanted: (type: EventName) => boolean,
    tell: (told: Told) => void,
  ): void {
    for (const type of eventNames) {
      const wanted = isWanted(type);
      if (wanted || type === 'chat:accepted' || ends.has(type))
        bus.on(type, (event: KernelEvents[EventName]) => {
          const each = event as unknown as AnyEvent;
          const conversationId = this.#conversationOf(type, each);
          if (wanted && each.name !== taskOfReplies) tell(toldOf(type, each, conversationId));
        });
    }
  }

  #conversationOf(type: EventName, { streamId, conversationId }: AnyEvent): string | undefined {
    if (streamId === undefined) return undefined;
    if (conversationId !== undefined) this.#conversations.set(streamId, conversationId);
    const known = this.#conversations.get(streamId);
    if (ends.has(type)) this.#conversations.delete(streamId);
    return known;
  }
}

function toldOf(type: EventName, event: AnyEvent, conversationId: string | undefined): Told {
  const { streamId, taskId, name, error } = event;
  const id = streamId ?? taskId;
  const data: Record<string, unknown> = {};
  if (id !== undefined) data[streamId ? 'reply' : 'run'] = shortened(id);
  if (name !== undefined) data.task = name;
  if (conversationId !== undefined) data.conversationId = conversationId;
  for (const key of told) if (event[key] !== undefined) data[key] = event[key];
  if (error !== undefined) data.message = toClientError(error).message.slice(0, messageChars);
  return { type, subject: id ?? String(name), data };
}

/** The fields that are told as they are. */
const told = [
  ...['userId', 'agent', 'tokens', 'usage', 'timings', 'code', 'reason', 'priority', 'attempt', 'attempts'],
  ...['delayMs', 'queuedMs', 'runMs', 'dueAt', 'count'],
] as const;

/** An id without what it gives access to: the same for all messages about one reply or run. */
function shortened(id: string): string {
  return createHash('sha256').update(id).digest('base64url').slice(0, 16);
}
