import type { Headers, LogEntry, PieceEntry, Reply } from '#kernel';
import { agentHeader, keepAlive, ReplyBody } from '#sdk';
import { type ChunkFormat, doneEvent } from './chunk-format.js';
import type { Config } from './config.js';
import { errorEvent } from './errors.js';
import { GrowingCalls } from './growing-calls.js';
import { endOf, failureOf } from './whole.js';

/**
 * A reply as an event stream, one part per batch of entries. It begins with the first token, or with a heartbeat when that
 * takes too long; a failure before is thrown, so that it gets its own HTTP status.
 */
export class EventStream extends ReplyBody<LogEntry | PieceEntry> {
  readonly #reply: Reply;
  readonly #asked: string;
  readonly #formatFor: (agent: string) => ChunkFormat;
  #format: ChunkFormat;
  #agent: string | undefined;
  readonly #includeUsage: boolean;
  #started = false;
  #calls: GrowingCalls;
  /** Position of the last tool call. */
  #calledAt = -1;

  constructor(
    reply: Reply,
    asked: string,
    formatFor: (agent: string) => ChunkFormat,
    includeUsage: boolean,
    { holdHeadersMs, heartbeatMs }: Pick<Config, 'holdHeadersMs' | 'heartbeatMs'>,
  ) {
    super(reply.readPieces(), {
      text: keepAlive,
      afterMs: heartbeatMs,
      firstAfterMs: holdHeadersMs,
    });
    this.#reply = reply;
    this.#asked = asked;
    this.#formatFor = formatFor;
    this.#format = formatFor('');
    this.#calls = new GrowingCalls(this.#format);
    this.#includeUsage = includeUsage;
  }

  protected encode(entries: readonly (LogEntry | PieceEntry)[], begun: boolean): string {
    let part = '';
    for (const entry of entries) {
      if (entry.type === 'tool_call_piece') {
        part += this.#start() + this.#calls.piece(entry.piece);
        continue;
      }
      const { frame, toolCall, position } = entry;
      switch (frame.type) {
        case 'streaming_start':
          this.#answeredBy(frame.agent);
          break;
        case 'streaming_token':
          part += this.#start() + this.#format.text(frame.content);
          break;
        case 'streaming_thinking':
          part += this.#start() + this.#format.thinking(frame.content);
          break;
        case 'streaming_tool_call':
          if (!toolCall || toolCall.executor === 'server') break;
          this.#calledAt = position;
          part += this.#start() + this.#calls.whole(toolCall);
          break;
        case 'message':
          this.#answeredBy(frame.agent);
          part += this.#start() + this.#format.text(frame.content);
          part += this.#finish(endOf('stop', this.#calls.count, this.#calls.count > 0), frame.usage);
          break;
        case 'streaming_end':
          part +=
            this.#start() +
            this.#finish(endOf(frame.reason, this.#calls.count, this.#calledAt === position), frame.usage);
          break;
        case 'error':
        case 'cancelled': {
          const failure = failureOf(frame, this.#reply, this.#agent ?? this.#asked);
          if (!begun && part === '') throw failure;
          part += errorEvent(failure);
        }
      }
    }
    return part;
  }

  /** The answering agent, known by the first token at the latest. */
  headers(): Headers {
    return this.#agent === undefined ? {} : agentHeader(this.#agent);
  }

  #answeredBy(agent: string): void {
    if (this.#started) return;
    this.#agent = agent;
    this.#format = this.#formatFor(agent);
    this.#calls = new GrowingCalls(this.#format);
  }

  #start(): string {
    if (this.#started) return '';
    this.#started = true;
    return this.#format.start();
  }

  #finish(reason: string, usage: Parameters<ChunkFormat['usage']>[0]): string {
    return this.#format.finish(reason) + (this.#includeUsage ? this.#format.usage(usage) : '') + doneEvent;
  }
}
