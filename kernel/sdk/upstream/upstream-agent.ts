import {
  type AgentHealth,
  BaseAgent,
  type CallContext,
  type ChatRequest,
  type ContextWindow,
  type Embeddings,
  type EmbedRequest,
  type StreamChunk,
} from '../../contracts/agent.js';
import { messageOf, WaggleError } from '../../errors.js';
import type { AbortSource } from '../cancellation.js';
import { checkContent } from '../content.js';
import { checkInputs, checkVectors } from '../embeddings.js';
import { settleWithin } from '../settle-within.js';
import { answerFailure } from './answer-failure.js';
import { embeddingRefusal } from './embedding-refusal.js';
import { Exchange, type ExchangeLimits } from './exchange.js';
import { ExchangeError } from './exchange-error.js';
import { hasAnswered, type Upstream, upstreamFailure } from './failure.js';
import type { HttpClient } from './http-client.js';
import { SocketClient } from './http1/socket-client.js';
import { type ListedModel, late, ModelList } from './model-list.js';
import { NodeClient } from './node-client.js';
import type { PieceReader, PieceSource } from './pieces.js';
import { TrackRecord } from './track-record.js';
import { type AnswerContext, UpstreamAnswer, type UpstreamTimeouts } from './upstream-answer.js';
import type { UpstreamWay } from './upstream-way.js';
import { Watchdog } from './watchdog.js';

const bodyLimitBytes = 4 << 20;
/** Requests of fewer tokens do not wait for the size of an unknown context window. */
const unaskedTokens = 2048;
/** How long a server that has not told it is not asked again. */
const describedTtlMs = 30_000;
const describedLimit = 1000;
/** The vectors of 2048 inputs, of 4096 numbers each in base64, have 45 MB. */
const embeddingsLimitBytes = 64 << 20;

/** The model server of an agent. */
export interface ModelServer extends Upstream {
  readonly url: URL;
  /** Message and remedy where it has no model: `Ollama has no model; run "ollama pull llama3.2"`. */
  readonly noModel: string;
  /** The configured model, which is requested even without a list; empty for none. */
  readonly model?: string;
  /** The HTTP client; `auto` when absent. */
  readonly upstream?: UpstreamWay;
}

/**
 * Base class of an agent that asks a model server over HTTP. It handles connections, time limits, the list of models, the end
 * of every socket and the failures. A subclass sends the request (`ask`), reads the pieces of the answer (`reader`) and lists
 * the models (`list`, `preferredModel`, `check`). Its creator calls `close`.
 */
export abstract class UpstreamAgent<Piece> extends BaseAgent {
  readonly name: string;
  protected readonly server: ModelServer;
  protected readonly models: ModelList;
  readonly #timeouts: UpstreamTimeouts;
  readonly #client: HttpClient;
  /** Health of the server, as its answers show it. */
  readonly #record: TrackRecord;
  readonly #limits: ExchangeLimits = { bodyLimitBytes, onConnected: () => this.#record.connected() };

  readonly #answers: AnswerContext<Piece>;
  readonly #describedAt = new Map<string, number>();

  constructor(server: ModelServer, timeouts: UpstreamTimeouts) {
    super();
    this.name = server.agent;
    this.server = server;
    this.models = new ModelList((signal) => this.list(signal), timeouts.connectTimeoutMs, server.model);
    this.#timeouts = timeouts;
    this.#record = new TrackRecord(server.agent);
    const { connectTimeoutMs } = timeouts;
    const node = new NodeClient(connectTimeoutMs);
    this.#client = server.upstream === 'node' ? node : new SocketClient(connectTimeoutMs, node);
    this.#answers = {
      agent: server.agent,
      timeouts,
      models: this.models,
      record: this.#record,
      check: (request) => checkContent(this, request),
      exchange: (call) => this.exchange(call),
      reader: () => this.reader(),
      ask: (exchange, request, call, signalOf) => this.#ask(exchange, request, call, signalOf),
      failureOf: (cause) => this.failureOf(cause),
    };
  }

  /** Sends the request with `headers`; resolves when the answer has begun. @throws any error that `failureOf` converts */
  protected abstract ask(
    exchange: Exchange,
    request: ChatRequest,
    model: string,
    headers: CallContext['headers'],
  ): Promise<PieceSource<Piece>>;

  /** A reader for one answer. */
  protected abstract reader(): PieceReader<Piece>;

  /** Requests the server's models: the names of those that can chat, or more about any of them. `models` caches them. */
  protected abstract list(signal: AbortSignal): Promise<readonly ListedModel[]>;

  /** The model for a request without one, usually from `models.known`; undefined where there is none, empty for the server's choice. */
  protected abstract preferredModel(signal: AbortSignal): Promise<string | undefined>;

  /** The same where it is known without a wait, usually from `models.cached`; undefined where it is not. */
  protected knownModel(): string | undefined {
    return undefined;
  }

  /** Health of a server that answers, usually from `models.ask`. */
  protected abstract check(signal: AbortSignal): Promise<AgentHealth>;

  /** Whether requests are possible without a list of models. */
  protected get canAskUnlisted(): boolean {
    return Boolean(this.server.model) || this.models.names.length > 0;
  }

  /** Converts any failure to a WaggleError. Override it for errors that only this server has. */
  protected failureOf(cause: unknown): WaggleError {
    return upstreamFailure(this.server, cause);
  }

  /** A further request to the server. It needs no `close` once its body is read to the end. */
  protected exchange(source: AbortSource): Exchange {
    return new Exchange(this.#client, this.#limits, source);
  }

  /**
   * For agents whose server makes embeddings: sends the request with `ask`, within `firstTokenTimeoutMs`, and validates the
   * vectors. The connection is closed, or free for the next request, when it ends. @throws as `generateResponseStream`, and
   * INVALID_REQUEST for too many inputs
   */
  protected async embedWith(
    request: EmbedRequest,
    call: CallContext,
    ask: (exchange: Exchange, signal: AbortSignal) => Promise<Embeddings>,
  ): Promise<Embeddings> {
    checkInputs(request);
    call.signal.throwIfAborted();
    this.#record.checkBackOff();
    const limits = { ...this.#limits, bodyLimitBytes: embeddingsLimitBytes };
    const exchange = new Exchange(this.#client, limits, call);
    const watchdog = new Watchdog(call, () => exchange.abort());
    let isOver = false;
    try {
      watchdog.watch(this.#timeouts.firstTokenTimeoutMs, 'until the embeddings were complete');
      const made = await ask(exchange, watchdog.signal);
      checkVectors(this.name, request.input.length, made.embeddings);
      isOver = true;
      this.#record.answered();
      return made;
    } catch (error) {
      if (call.signal.aborted) throw call.signal.reason;
      const refusal = watchdog.expired ? undefined : embeddingRefusal(this.server, error);
      throw answerFailure(this.#answers, refusal ?? error, watchdog.expired, call.logger);
    } finally {
      watchdog.stop();
      await exchange.close(isOver);
    }
  }

  /** Closes every connection. */
  close(): void {
    this.models.close();
    this.#client.close();
  }

  /** @throws AGENT_UNAVAILABLE, AGENT_TIMEOUT, AGENT_PROTOCOL, AGENT_DISCONNECTED, AGENT_FAILED, CONTEXT_TOO_LONG */
  generateResponseStream(
    request: ChatRequest,
    call: CallContext,
  ): AsyncIterableIterator<readonly StreamChunk[]> {
    return new UpstreamAnswer(this.#answers, request, call);
  }

  /** The window of the model, as `windowOf` knows it; what is unknown is asked for where a request is long. */
  contextWindow(
    request: ChatRequest,
    tokens: number,
    call: CallContext,
  ): ContextWindow | undefined | Promise<ContextWindow | undefined> {
    const model = request.model ?? this.knownModel();
    const window = model === undefined ? undefined : this.windowOf(model, request, tokens);
    if (window !== undefined || tokens < unaskedTokens) return window;
    return this.#askedWindow(request, tokens, call.signal);
  }

  /** The context window that a request for a model will have, as far as it is known. */
  protected windowOf(model: string, _request: ChatRequest, _tokens: number): ContextWindow | undefined {
    const { contextLength } = this.models.find(model) ?? {};
    return contextLength === undefined ? undefined : { tokens: contextLength };
  }

  /** Asks the server for what `windowOf` needs. */
  protected async describe(_model: string, signal: AbortSignal): Promise<void> {
    await this.models.known(signal);
  }

  async #askedWindow(
    request: ChatRequest,
    tokens: number,
    signal: AbortSignal,
  ): Promise<ContextWindow | undefined> {
    const watchdog = new Watchdog(signal);
    try {
      watchdog.watch(this.#timeouts.connectTimeoutMs, 'until it has described its model');
      const model = request.model ?? (await this.preferredModel(watchdog.signal));
      if (model === undefined) return undefined;
      await this.#describe(model, watchdog.signal);
      return this.windowOf(model, request, tokens);
    } catch {
      // The list of models failed: the request itself says why.
      return undefined;
    } finally {
      watchdog.stop();
    }
  }

  /** The same, but not for each request of a server that does not tell. */
  async #describe(model: string, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    if (now - (this.#describedAt.get(model) ?? Number.NEGATIVE_INFINITY) < describedTtlMs) return;
    if (this.#describedAt.size >= describedLimit) this.#describedAt.clear();
    this.#describedAt.set(model, now);
    // What is not known then stays unknown.
    await this.describe(model, signal).catch(() => {});
  }

  /** Healthy when the server answers and has a model. A missing, refused or late list does not matter while answers succeed. */
  async health(signal: AbortSignal): Promise<AgentHealth> {
    if (this.#record.isAnswering) {
      // Some servers handle one request at a time.
      this.models.freshen();
      return this.#detailed({ healthy: true, models: this.models.names });
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
      this.#record.reached();
      return this.#detailed(health);
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
      return this.#detailed({
        healthy: true,
        detail,
        models: names.length === 0 && model ? [model] : names,
      });
    }
    this.#record.notReached(failure);
    return { healthy: false, detail };
  }

  #detailed(health: AgentHealth): AgentHealth {
    const { details } = this.models;
    const model = health.healthy ? this.knownModel() : undefined;
    return {
      ...health,
      ...(model && { model }),
      ...(details.length > 0 && { modelDetails: details }),
    };
  }

  #ask(
    exchange: Exchange,
    request: ChatRequest,
    call: CallContext,
    signalOf: () => AbortSignal,
  ): Promise<PieceSource<Piece>> {
    const model = request.model ?? this.knownModel();
    if (model !== undefined) return this.ask(exchange, request, model, call.headers);
    return this.#preferred(signalOf()).then((found) => this.ask(exchange, request, found, call.headers));
  }

  async #preferred(signal: AbortSignal): Promise<string> {
    const model = await this.preferredModel(signal);
    if (model !== undefined) return model;
    throw new WaggleError('AGENT_UNAVAILABLE', { agent: this.name, why: this.server.noModel });
  }
}
