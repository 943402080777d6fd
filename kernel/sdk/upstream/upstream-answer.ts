import type { CallContext, ChatRequest, StreamChunk } from '../../contracts/agent.js';
import { WaggleError } from '../../errors.js';
import { answerFailure, type FailureContext } from './answer-failure.js';
import type { Exchange } from './exchange.js';
import {
  IncompleteError,
  ModelError,
  PieceError,
  type PieceListener,
  type PieceReader,
  type PieceSource,
  type Pieces,
} from './pieces.js';
import { Watchdog } from './watchdog.js';

/** Time limits of an agent for its model server. */
export interface UpstreamTimeouts {
  readonly connectTimeoutMs: number;
  /** Until the first token, and between two reads before it. */
  readonly firstTokenTimeoutMs: number;
  /** Between two reads after it. */
  readonly tokenTimeoutMs: number;
}

/** The part of an agent that its answers share. */
export interface AnswerContext<Piece> extends FailureContext {
  readonly timeouts: UpstreamTimeouts;
  /** Refuses content that the model server does not take. @throws AGENT_FAILED */
  check(request: ChatRequest): void;
  exchange(call: CallContext): Exchange;
  reader(): PieceReader<Piece>;
  /** Sends the request. `signalOf` creates the signal for a wait before it. */
  ask(
    exchange: Exchange,
    request: ChatRequest,
    call: CallContext,
    signalOf: () => AbortSignal,
  ): Promise<PieceSource<Piece>>;
}

type Batch = readonly StreamChunk[];
type Result = IteratorResult<Batch, undefined>;

const end: Result = { done: true, value: undefined };

/**
 * One answer of a model server, pulled. An async generator would do the same with three turns of the microtask queue for each
 * token instead of one, and a dozen objects more. Its connection is closed, or free for the next request, when it ends.
 */
export class UpstreamAnswer<Piece> implements AsyncIterableIterator<Batch>, PieceListener<Piece> {
  readonly #context: AnswerContext<Piece>;
  readonly #request: ChatRequest;
  readonly #call: CallContext;
  #exchange: Exchange | undefined;
  #watchdog: Watchdog | undefined;
  #reader: PieceReader<Piece> | undefined;
  #source: PieceSource<Piece> | undefined;
  #pulled: Promise<Result> | undefined;
  #resolve: ((result: Result) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;
  /** The error after the last batch, whose chunks are valid. */
  #failure: unknown;
  #hasBegun = false;
  /** Whether another read is wanted. */
  #wants = false;
  #isPulling = false;
  #isClosed = false;

  constructor(context: AnswerContext<Piece>, request: ChatRequest, call: CallContext) {
    this.#context = context;
    this.#request = request;
    this.#call = call;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws AGENT_UNAVAILABLE, AGENT_TIMEOUT, AGENT_PROTOCOL, AGENT_DISCONNECTED, AGENT_FAILED, CONTEXT_TOO_LONG */
  next(): Promise<Result> {
    const before = this.#resolve && this.#pulled;
    if (before) {
      const next = () => this.next();
      return before.then(next, next);
    }
    this.#pulled = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const pulled = this.#pulled;
    this.#pull();
    return pulled;
  }

  /** Ends the answer before its end. */
  async return(): Promise<Result> {
    const closing = this.#close();
    if (closing) await closing;
    this.#give(end);
    return end;
  }

  onPieces({ values, error }: Pieces<Piece>): void {
    const reader = this.#reader as PieceReader<Piece>;
    const batch: StreamChunk[] = [];
    let failure: unknown = error;
    try {
      for (const piece of values) if (!reader.over) reader.read(piece, batch);
    } catch (cause) {
      failure = cause;
    }
    if (batch.length === 0) {
      if (failure && !reader.over) this.#fail(failure);
      else this.#pull();
      return;
    }
    this.#failure = failure;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.#context.record.answerBegan();
    }
    this.#giveBatch(batch);
  }

  onEnd(): void {
    const reader = this.#reader as PieceReader<Piece>;
    const rest: StreamChunk[] = [];
    try {
      reader.end?.(rest);
    } catch (error) {
      return void this.#fail(error);
    }
    if (reader.over) return void this.#giveBatch(rest);
    const { agent } = this.#context;
    this.#fail(new WaggleError('AGENT_DISCONNECTED', { agent, why: 'its answer has no end' }));
  }

  onError(error: unknown): void {
    this.#fail(error);
  }

  #pull(): void {
    if (this.#isClosed) return void this.#give(end);
    if (!this.#source) return void this.#begin();
    if (this.#reader?.over) return void this.#end(() => this.#give(end));
    if (this.#failure) return void this.#fail(this.#failure);
    this.#watch();
    this.#pullFrom(this.#source);
  }

  /** A loop, because any number of reads without a chunk may be there at once. */
  #pullFrom(source: PieceSource<Piece>): void {
    this.#wants = true;
    if (this.#isPulling) return;
    this.#isPulling = true;
    try {
      while (this.#wants) {
        this.#wants = false;
        source.pull(this);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#isPulling = false;
  }

  /** Any read feeds the watchdog: a long tool call may yield no chunk for a while. */
  #watch(): void {
    const { firstTokenTimeoutMs, tokenTimeoutMs } = this.#context.timeouts;
    if (this.#hasBegun) this.#watchdog?.watch(tokenTimeoutMs, 'between two tokens');
    else this.#watchdog?.watch(firstTokenTimeoutMs, 'until the first token');
  }

  #begin(): void {
    const context = this.#context;
    try {
      context.check(this.#request);
      const exchange = context.exchange(this.#call);
      const watchdog = new Watchdog(this.#call, () => exchange.abort());
      this.#exchange = exchange;
      this.#watchdog = watchdog;
      this.#reader = context.reader();
      context.record.checkBackOff();
      this.#watch();
      context
        .ask(exchange, this.#request, this.#call, () => watchdog.signal)
        .then(
          (source) => this.#opened(source),
          (error: unknown) => this.#fail(error),
        );
    } catch (error) {
      this.#fail(error);
    }
  }

  #opened(source: PieceSource<Piece>): void {
    this.#source = source;
    if (this.#isClosed) source.stop();
    else this.#pullFrom(source);
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return;
    const fail = (failure: unknown) => this.#end(() => this.#throw(failure));
    const { signal, logger } = this.#call;
    if (signal.aborted) return void fail(signal.reason);
    const rest = this.#reader && lateEnd(this.#reader, error);
    if (rest) return void this.#giveBatch(rest);
    // Refused before anything was sent.
    if (!this.#exchange) return void fail(error);
    fail(answerFailure(this.#context, error, this.#watchdog?.expired, logger));
  }

  /** Calls `ended` when the connection is closed or free. */
  #end(ended: () => void): void {
    const closing = this.#close();
    if (closing) closing.then(ended, ended);
    else ended();
  }

  #close(): Promise<void> | undefined {
    if (this.#isClosed) return undefined;
    this.#isClosed = true;
    this.#watchdog?.stop();
    this.#source?.stop();
    if (this.#hasBegun) this.#context.record.answerEnded();
    return this.#exchange?.close(this.#reader?.over ?? false);
  }

  #giveBatch(value: Batch): void {
    this.#watchdog?.pause();
    this.#give({ done: false, value });
  }

  #give(result: Result): void {
    const resolve = this.#resolve;
    this.#resolve = this.#reject = undefined;
    resolve?.(result);
  }

  #throw(error: unknown): void {
    const reject = this.#reject;
    this.#resolve = this.#reject = undefined;
    reject?.(error);
  }
}

/** The end of an answer whose reason came before the connection was lost or fell silent: it is complete. */
function lateEnd(reader: PieceReader<never>, error: unknown): readonly StreamChunk[] | undefined {
  const isReported =
    error instanceof ModelError || error instanceof PieceError || error instanceof IncompleteError;
  if (isReported || error instanceof WaggleError) return undefined;
  const rest: StreamChunk[] = [];
  try {
    reader.end?.(rest);
  } catch {
    return undefined; // The loss is reported instead.
  }
  return reader.over ? rest : undefined;
}
