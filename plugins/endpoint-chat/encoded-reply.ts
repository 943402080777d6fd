import type { Headers, LogEntry, Reply, ReplyReader } from '#kernel';
import { agentHeader, ReplyBody } from '#sdk';
import type { Encoding } from './encoding.js';

/** What a reader gives, as text. A reply that failed before it began is thrown, so that it has a status. */
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
    // One frame is the rule where a model speaks: no list for it.
    if (entries.length === 1) return this.#encoding.encode(entries[0] as LogEntry);
    return entries.map(this.#encoding.encode).join('');
  }

  /** Who answers, unless the reply still waits for its turn; its frames say so, too. */
  headers(): Headers {
    return this.#agent === undefined ? {} : agentHeader(this.#agent);
  }
}
