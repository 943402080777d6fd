import type { LogEntry, PieceEntry, Socket } from '#kernel';
import { ReplyDelivery } from '#sdk';
import { AnswerReader } from '#sdk/dialect';
import type { LiveResponse } from './live-response.js';
import { ResponseEvents } from './response-events.js';

/** Sends one response as frames, each of which is an event. */
export class Delivery extends ReplyDelivery<LogEntry | PieceEntry> {
  readonly #answer: AnswerReader;
  readonly #events: ResponseEvents;
  #frames: string[] = [];

  /** Events up to the number `after` are left out. */
  constructor(
    socket: Socket,
    { head, run }: LiveResponse,
    after: number | undefined,
    onEnd: (error?: Error) => void,
  ) {
    super(socket, run.reply.readPieces({ merge: false }), onEnd);
    this.#events = new ResponseEvents(head, (_type, json) => void this.#frames.push(json), after);
    this.#answer = new AnswerReader(this.#events, run.reply, run.asked);
    // Without headers to hold back, the id is of use at once.
    this.#answer.begin();
    socket.send(this.#taken());
  }

  /** The response as far as it was sent. */
  get response(): Readonly<Record<string, unknown>> {
    return this.#events.response;
  }

  /** The number of the last event so far. */
  get lastNumber(): number {
    return this.#events.number - 1;
  }

  protected encode(entries: readonly (LogEntry | PieceEntry)[]): readonly string[] {
    this.#answer.read(entries);
    return this.#taken();
  }

  #taken(): readonly string[] {
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }
}
