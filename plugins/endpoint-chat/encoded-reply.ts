import type { Headers, LogEntry, Reply, ReplyReader } from '#kernel';
import { agentHeader, ReplyBody } from '#sdk';
import type { Encoding } from './encoding.js';

/** A reply as text. A failure before the first entry is thrown, so that it gets its own HTTP status. */
export class EncodedReply extends ReplyBody {
  readonly #reply: Reply;
  readonly #encoding: Encoding;
  #agent: string | undefined;

  constructor(reply: Reply, reader: ReplyReader, encoding: Encoding, heartbeatMs: number) {
    const { heartbeat: text } = encoding;
    super(reader, text === undefined ? undefined : { text, afterMs: heartbeatMs });
    this.#reply = reply;
    this.#encoding = encoding;
  }

  protected encode(entries: readonly LogEntry[], begun: boolean): string {
    if (!begun && entries[0]?.type === 'error' && this.#reply.failure) throw this.#reply.failure;
    if (!begun) for (const { frame } of entries) if ('agent' in frame) this.#agent ??= frame.agent;
    // Mostly a batch has one entry: skip the list.
    if (entries.length === 1) return this.#encoding.encode(entries[0] as LogEntry);
    return entries.map(this.#encoding.encode).join('');
  }

  /** The answering agent, unless the reply is still queued. */
  headers(): Headers {
    return this.#agent === undefined ? {} : agentHeader(this.#agent);
  }
}
