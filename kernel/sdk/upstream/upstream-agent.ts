import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import {
  type AgentCall,
  type AgentHealth,
  BaseAgent,
  type ChatRequest,
  type StreamChunk,
} from '../../contracts/agent.js';
import { messageOf, WaggleError } from '../../errors.js';
import { checkContent } from '../content.js';
import { settleWithin } from '../settle-within.js';
import { Exchange, ExchangeError } from './exchange.js';
import { hasAnswered, type Upstream, upstreamFailure } from './failure.js';
import { late, ModelList } from './model-list.js';
import { IncompleteError, ModelError, PieceError, type PieceReader, type PieceSource } from './pieces.js';
import { TrackRecord } from './track-record.js';
import { Watchdog } from './watchdog.js';

const bodyLimitBytes = 4 << 20;

/** The model server that an agent asks. */
export interface ModelServer extends Upstream {
  readonly url: URL;
  /** Why it cannot answer when it has no model, and what to do: `Ollama has no model; run "ollama pull llama3.2"`. */
  readonly noModel: string;
  /** The one that the config names, which is asked for also where there is no list; empty for none. */
  readonly model?: string;
}

/** How long an agent waits for its model server. */
export interface UpstreamTimeouts {
  readonly connectTimeoutMs: number;
  /** Until the first token, and between two reads before it. */
  readonly firstTokenTimeoutMs: number;
  /** Between two reads after it. */
  readonly tokenTimeoutMs: number;
}

/**
 * An agent that asks a model server over HTTP, for you to extend. It has the connections, the time limits, the list of models,
 * the end of every socket and the failures; what you write is how that server is asked (`ask`), how a piece of its answer is
 * read (`reader`), and which models it has (`list`, `preferredModel`, `check`). Whoever creates it calls `close`.
 */
export abstract class UpstreamAgent<Piece> extends BaseAgent {
  readonly name: string;
  protected readonly server: ModelServer;
  protected readonly models: ModelList;
  readonly #timeouts: UpstreamTimeouts;
  readonly #connections: HttpAgent;
  /** What its answers show of the server's health. */
  readonly #record: TrackRecord;

  constructor(server: ModelServer, timeouts: UpstreamTimeouts) {
    super();
    this.name = server.agent;
    this.server = server;
    this.models = new ModelList((signal) => this.list(signal), timeouts.connectTimeoutMs);
    this.#timeouts = timeouts;
    this.#record = new TrackRecord(server.agent);
    this.#connections =
      server.url.protocol === 'https:'
        ? new HttpsAgent({ keepAlive: true })
        : new HttpAgent({ keepAlive: true });
  }

  /** Sends the request; resolves with the answer when that has begun. `headers` go along. @throws whatever `failureOf` knows */
  protected abstract ask(
    exchange: Exchange,
    request: ChatRequest,
    model: string,
    headers: AgentCall['headers'],
  ): Promise<PieceSource<Piece>>;

  /** What reads the pieces of one answer. */
  protected abstract reader(): PieceReader<Piece>;

  /** The names of the models that the server has. `models` remembers them. */
  protected abstract list(signal: AbortSignal): Promise<readonly string[]>;

  /** The model that answers a request that names none, mostly one of `models.known`; undefined when there is none, empty for whichever it has. */
  protected abstract preferredModel(signal: AbortSignal): Promise<string | undefined>;

  /** What `health` says of a server that answers. `models.ask` tells which models there are now. */
  protected abstract check(signal: AbortSignal): Promise<AgentHealth>;

  /** Whether it can be asked while its list is not known. */
  protected get canAskUnlisted(): boolean {
    return Boolean(this.server.model) || this.models.names.length > 0;
  }

  /** The catalogue's error for whatever went wrong. Override it for what only this server throws. */
  protected failureOf(cause: unknown): WaggleError {
    return upstreamFailure(this.server, cause);
  }

  /** One more request to the server. Who reads its body to the end need not close it. */
  protected exchange(signal: AbortSignal): Exchange {
    const { connectTimeoutMs } = this.#timeouts;
    const onConnected = () => this.#record.connected();
    return new Exchange(this.#connections, { connectTimeoutMs, bodyLimitBytes, onConnected }, signal);
  }

  /** Closes every connection. */
  close(): void {
    this.models.close();
    this.#connections.destroy();
  }

  /** @throws AGENT_UNAVAILABLE, AGENT_TIMEOUT, AGENT_PROTOCOL, AGENT_DISCONNECTED, AGENT_FAILED, CONTEXT_TOO_LONG */
  async *generateResponseStream(
    request: ChatRequest,
    { signal, logger, headers }: AgentCall,
  ): AsyncGenerator<readonly StreamChunk[]> {
    const { firstTokenTimeoutMs, tokenTimeoutMs } = this.#timeouts;
    checkContent(this, request);
    const watchdog = new Watchdog(signal);
    const exchange = this.exchange(watchdog.signal);
    const reader = this.reader();
    let source: PieceSource<Piece> | undefined;
    let spoken = false;
    try {
      this.#record.leaveAlone();
      let timeoutMs = firstTokenTimeoutMs;
      let phase = 'until the first token';
      watchdog.watch(timeoutMs, phase);
      const model = request.model ?? (await this.#preferred(watchdog.signal));
      source = await this.ask(exchange, request, model, headers);
      for (let read = await source.next(); read; read = await source.next()) {
        const { values, error } = read;
        const batch: StreamChunk[] = [];
        let failure: unknown = error;
        try {
          for (const piece of values) if (!reader.over) reader.read(piece, batch);
        } catch (cause) {
          failure = cause;
        }
        if (batch.length > 0) {
          if (!spoken) this.#record.speaks();
          spoken = true;
          // What came before a broken piece is good.
          watchdog.pause();
          yield batch;
          timeoutMs = tokenTimeoutMs;
          phase = 'between two tokens';
        }
        if (reader.over) return;
        if (failure) throw failure;
        // Whatever comes feeds it: a long tool call yields nothing for a while, and is no silence.
        watchdog.watch(timeoutMs, phase);
      }
      const rest: StreamChunk[] = [];
      reader.end?.(rest);
      if (!reader.over)
        throw new WaggleError('AGENT_DISCONNECTED', { agent: this.name, why: 'its answer has no end' });
      yield rest;
    } catch (error) {
      signal.throwIfAborted();
      const rest = lateEnd(reader, error);
      if (rest) return void (yield rest);
      const { expired } = watchdog;
      const failure = expired
        ? new WaggleError('AGENT_TIMEOUT', { agent: this.name, ...expired }, { cause: error })
        : this.failureOf(error);
      if (WaggleError.is(failure, 'AGENT_FAILED') && failure.details?.model)
        this.models.forget(failure.details.model);
      this.#record.failed(failure);
      if (expired) throw failure;
      logger.debug({ err: failure }, 'the model server failed');
      throw failure;
    } finally {
      watchdog.stop();
      source?.stop();
      if (spoken) this.#record.spoke();
      await exchange.close(reader.over);
    }
  }

  /** Healthy when the server answers and has a model. A list that is missing, refused or late is no fault as long as answers come. */
  async health(signal: AbortSignal): Promise<AgentHealth> {
    if (this.#record.isSpeaking) {
      // Some servers do one thing at a time.
      this.models.freshen();
      return { healthy: true, models: this.models.names };
    }
    const { connectTimeoutMs } = this.#timeouts;
    const watchdog = new Watchdog(signal);
    const since = performance.now();
    try {
      watchdog.watch(connectTimeoutMs, 'until it has listed its models');
      const checked = this.check(watchdog.signal);
      if (!(await settleWithin(checked, watchdog.signal)))
        throw new ExchangeError('ETIMEDOUT', 'no answer in time');
      const health = await checked;
      this.#record.isBack();
      return health;
    } catch (error) {
      return this.#unlisted(error, watchdog.signal.aborted, since);
    } finally {
      watchdog.stop();
    }
  }

  #unlisted(error: unknown, isLate: boolean, since: number): AgentHealth {
    const { model } = this.server;
    const isUp = isLate ? this.#record.hasConnectedSince(since) : hasAnswered(error);
    const failure = this.failureOf(isLate && isUp ? late() : error);
    const detail = messageOf(failure);
    if (this.canAskUnlisted && this.#record.mayWork(failure, isUp)) {
      const { names } = this.models;
      return { healthy: true, detail, models: names.length === 0 && model ? [model] : names };
    }
    this.#record.isOut(failure);
    return { healthy: false, detail };
  }

  async #preferred(signal: AbortSignal): Promise<string> {
    const model = await this.preferredModel(signal);
    if (model !== undefined) return model;
    throw new WaggleError('AGENT_UNAVAILABLE', { agent: this.name, why: this.server.noModel });
  }
}

/** The end of an answer whose reason was given before the connection was lost, or fell silent: all of it was said. */
function lateEnd(reader: PieceReader<never>, error: unknown): readonly StreamChunk[] | undefined {
  const isTold =
    error instanceof ModelError || error instanceof PieceError || error instanceof IncompleteError;
  if (isTold || error instanceof WaggleError) return undefined;
  const rest: StreamChunk[] = [];
  try {
    reader.end?.(rest);
  } catch {
    return undefined; // Then the loss is what is told.
  }
  return reader.over ? rest : undefined;
}
