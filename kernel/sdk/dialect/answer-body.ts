import type { LogEntry, PieceEntry, Reply } from '../../contracts/stream.js';
import type { Headers } from '../../contracts/transport.js';
import { agentHeader, contextHeaders } from '../headers.js';
import { ReplyBody } from '../reply-body.js';
import type { AnswerTexts } from './answer-events.js';
import { AnswerReader } from './answer-reader.js';

/** The pace of a body. */
export interface AnswerPace {
  /** Text that clients ignore, sent in an idle stream; absent where the format has no such text. */
  readonly heartbeat?: string;
  /** Interval of heartbeats. */
  readonly heartbeatMs?: number;
  /** How long the headers wait for the first token, if a heartbeat can go ahead of it; until then a failure gets its own HTTP status. */
  readonly holdHeadersMs?: number;
  /** A failure that precedes the answer is an event as well, and not thrown. */
  readonly tellsFailures?: boolean;
  /** For events with numbers: each piece is one, also for a slow client, and the first ones do not wait for the agent. */
  readonly isNumbered?: boolean;
}

/**
 * An answer as a response body, one part per batch of entries. It begins with the first token, or when that takes too long; a
 * failure before is thrown, so that it gets its own HTTP status.
 */
export class AnswerBody extends ReplyBody<LogEntry | PieceEntry> {
  readonly #events: AnswerTexts;
  readonly #answer: AnswerReader;
  readonly #tellsFailures: boolean;
  readonly #isNumbered: boolean;

  /** `asked` is the requested agent. */
  constructor(reply: Reply, asked: string, events: AnswerTexts, pace: AnswerPace) {
    const {
      heartbeat,
      heartbeatMs: afterMs = 0,
      holdHeadersMs: firstAfterMs = afterMs,
      isNumbered = false,
    } = pace;
    super(
      reply.readPieces({ merge: !isNumbered }),
      heartbeat === undefined
        ? undefined
        : { text: () => this.#beginning || heartbeat, afterMs, firstAfterMs },
    );
    this.#events = events;
    this.#isNumbered = isNumbered;
    this.#answer = new AnswerReader(events, reply, asked);
    this.#tellsFailures = pace.tellsFailures ?? false;
  }

  protected encode(entries: readonly (LogEntry | PieceEntry)[], begun: boolean): string {
    this.#answer.read(entries);
    const part = this.#events.take();
    const { failure } = this.#answer;
    if (failure && !begun && !this.#answer.begun && !this.#tellsFailures) throw failure;
    return part;
  }

  /** The answering agent, if it is known when the body begins. */
  headers(): Headers {
    const { agent, context } = this.#answer;
    return agent === undefined ? {} : { ...agentHeader(agent), ...contextHeaders(context) };
  }

  /** The events before the first content, until they were sent. */
  get #beginning(): string {
    if (!this.#isNumbered || this.#answer.begun) return '';
    this.#answer.begin();
    return this.#events.take();
  }
}
