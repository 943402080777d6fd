import { type LogEntry, type PieceEntry, type Reply, ReplyBody } from '#kernel';
import type { Config } from './config.js';
import { errorEvent } from './errors.js';
import { failureOf } from './failure.js';
import { GrowingCalls } from './growing-calls.js';
import { endOf } from './whole.js';
import { doneEvent, type Wording } from './wording.js';

/**
 * One reply as an event stream, a part for all that is new. Nothing comes before the first token, unless that takes too
 * long; until then a failure is thrown, so that it has a status.
 */
export class EventStream extends ReplyBody<LogEntry | PieceEntry> {
  readonly #reply: Reply;
  readonly #wording: Wording;
  readonly #includeUsage: boolean;
  #started = false;
  readonly #calls: GrowingCalls;

  constructor(
    reply: Reply,
    wording: Wording,
    includeUsage: boolean,
    { holdHeadersMs, heartbeatMs }: Pick<Config, 'holdHeadersMs' | 'heartbeatMs'>,
  ) {
    super(reply.readPieces(), {
      text: ': keep-alive\n\n',
      afterMs: heartbeatMs,
      firstAfterMs: holdHeadersMs,
    });
    this.#reply = reply;
    this.#wording = wording;
    this.#calls = new GrowingCalls(wording);
    this.#includeUsage = includeUsage;
  }

  protected encode(entries: readonly (LogEntry | PieceEntry)[], begun: boolean): string {
    let part = '';
    for (const entry of entries) {
      if (entry.type === 'tool_call_piece') {
        part += this.#start() + this.#calls.piece(entry.piece);
        continue;
      }
      const { frame, toolCall } = entry;
      switch (frame.type) {
        case 'streaming_token':
          part += this.#start() + this.#wording.text(frame.content);
          break;
        case 'streaming_thinking':
          part += this.#start() + this.#wording.thinking(frame.content);
          break;
        case 'streaming_tool_call':
          if (toolCall) part += this.#start() + this.#calls.whole(toolCall);
          break;
        case 'message':
          part += this.#start() + this.#wording.text(frame.content);
          part += this.#finish(endOf('stop', this.#calls.count), frame.usage);
          break;
        case 'streaming_end':
          part += this.#start() + this.#finish(endOf(frame.reason, this.#calls.count), frame.usage);
          break;
        case 'error':
        case 'cancelled': {
          const failure = failureOf(frame, this.#reply);
          if (!begun && part === '') throw failure;
          part += errorEvent(failure);
        }
      }
    }
    return part;
  }

  #start(): string {
    if (this.#started) return '';
    this.#started = true;
    return this.#wording.start();
  }

  #finish(reason: string, usage: Parameters<Wording['usage']>[0]): string {
    return this.#wording.finish(reason) + (this.#includeUsage ? this.#wording.usage(usage) : '') + doneEvent;
  }
}
