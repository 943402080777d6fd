import type { Reply } from '#kernel';

const questionLimitChars = 64 * 1024;

/** A reply that the connections of its user may resume. */
export interface Announcement {
  /** The client that has asked for it, which knows of it. */
  readonly clientId?: string | undefined;
  readonly frame: {
    readonly type: 'stream_available';
    readonly streamId: string;
    readonly conversationId: string;
    readonly agent: string;
    readonly question?: string;
    readonly replaces?: number;
  };
}

/** Undefined for a reply that runs no longer, or of which nothing is kept. */
export function announcementOf(reply: Reply): Announcement | undefined {
  const { streamId, conversationId, command } = reply;
  if (!command || command.stateless) return undefined;
  const { agent = '' } = reply.progress ?? {};
  const { clientId, content, replaces } = command;
  const question = content !== '' && content.length <= questionLimitChars && { question: content };
  const place = replaces !== undefined && { replaces };
  return {
    clientId,
    frame: { type: 'stream_available', streamId, conversationId, agent, ...question, ...place },
  };
}
