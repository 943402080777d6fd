import type { Headers, LogEntry, PieceEntry, Reply } from '#kernel';
import { agentHeader, ReplyBody } from '#sdk';
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
  readonly #wordingFor: (agent: string) => Wording;
  #wording: Wording;
  #agent: string | undefined;
  readonly #includeUsage: boolean;
  #started = false;
  #calls: GrowingCalls;
  /** Where the last call of a tool came. */
  #calledAt = -1;

  constructor(
    reply: Reply,
    wordingFor: (agent: string) => Wording,
    includeUsage: boolean,
    { holdHeadersMs, heartbeatMs }: Pick<Config, 'holdHeadersMs' | 'heartbeatMs'>,
  ) {
    super(reply.readPieces(), {
      text: ': keep-alive\n\n',
      afterMs: heartbeatMs,
      firstAfterMs: holdHeadersMs,
    });
    this.#reply = reply;
    this.#wordingFor = wordingFor;
    this.#wording = wordingFor('');
    this.#calls = new GrowingCalls(this.#wording);
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
          part += this.#start() + this.#wording.text(frame.content);
          break;
        case 'streaming_thinking':
          part += this.#start() + this.#wording.thinking(frame.content);
          break;
        case 'streaming_tool_call':
          if (!toolCall || toolCall.executor === 'server') break;
          this.#calledAt = position;
          part += this.#start() + this.#calls.whole(toolCall);
          break;
        case 'message':
          this.#answeredBy(frame.agent);
          part += this.#start() + this.#wording.text(frame.content);
          part += this.#finish(endOf('stop', this.#calls.count, this.#calls.count > 0), frame.usage);
          break;
        case 'streaming_end':
          part +=
            this.#start() +
            this.#finish(endOf(frame.reason, this.#calls.count, this.#calledAt === position), frame.usage);
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

  /** Who answers: known with the first token, and mostly before. */
  headers(): Headers {
    return this.#agent === undefined ? {} : agentHeader(this.#agent);
  }

  #answeredBy(agent: string): void {
    if (this.#started) return;
    this.#agent = agent;
    this.#wording = this.#wordingFor(agent);
    this.#calls = new GrowingCalls(this.#wording);
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
