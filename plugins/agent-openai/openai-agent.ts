import type {
  AgentHealth,
  AgentTakes,
  CallContext,
  ChatRequest,
  ContextWindow,
  Embeddings,
  EmbedRequest,
  ModelDetails,
} from '#kernel';
import {
  BodyPieces,
  type Exchange,
  endpointUrl,
  hasAnswered,
  isOk,
  jsonBody,
  type PieceReader,
  type PieceSource,
  ReasoningTags,
  UpstreamAgent,
  withExtra,
  withoutThinking,
} from '#sdk/upstream';
import { baseUrlOf, limitFieldOf, secretsIn } from './base-url.js';
import { BodySplitter } from './body.js';
import { ChunkReader } from './chunks.js';
import type { Config } from './config.js';
import { alternativeTo, type Dialect, refusesEffort } from './dialect.js';
import { embedBodyOf, embeddingsIn, refusesEncoding } from './embeddings.js';
import { lacksWindowInUse, modelsIn, windowInProps } from './models.js';
import { bodyOf } from './request.js';

const effortlessLimit = 1000;

/** Models on any server with OpenAI's API. */
export class OpenAiAgent extends UpstreamAgent<string> {
  readonly description = "Models on a server that speaks OpenAI's API";
  readonly provider = 'openai';
  readonly takes: AgentTakes;
  readonly #config: Config;
  readonly #chatUrl: URL;
  readonly #chatHeaders: Readonly<Record<string, string>>;
  /** The dialect that the server has not refused. */
  #dialect: Dialect;
  /** Models that have refused a reasoning effort. */
  readonly #effortless = new Set<string>();
  /** Undefined once the server has refused it. */
  #encoding: 'base64' | undefined = 'base64';

  constructor(name: string, config: Config) {
    const url = baseUrlOf(config.baseUrl);
    const { maxTokensField: field, streamOptions } = config;
    const server = {
      agent: name,
      server: 'the model server',
      url,
      advice: 'start it or set baseUrl',
      keyAdvice: 'set apiKey',
      secrets: [config.apiKey, ...Object.values(config.headers), ...secretsIn(url)],
      noModel: 'the model server lists no model that can chat; set model',
      model: config.model,
      upstream: config.upstream,
    };
    super(server, config);
    this.#config = config;
    this.#dialect = { maxTokensField: field === 'auto' ? limitFieldOf(url) : field, streamOptions };
    this.#chatUrl = endpointUrl(url, 'chat/completions');
    this.#chatHeaders = Object.freeze({
      ...this.#headers({ accept: config.stream ? 'text/event-stream' : 'application/json' }),
      'content-type': 'application/json',
    });
    this.takes = { imageUrls: config.imageUrls === 'pass', parts: true };
  }

  /** Nothing: all options are passed on. */
  ignores(): readonly string[] {
    return [];
  }

  /** The pieces are the data of events; an answer that is not streamed is a single piece. */
  protected async ask(
    exchange: Exchange,
    request: ChatRequest,
    model: string,
    headers: CallContext['headers'],
  ): Promise<PieceSource<string>> {
    const asked = this.#effortless.has(model) ? withoutEffort(request) : request;
    // A server may refuse two fields, one after the other.
    return this.#askIn(exchange, asked, model, headers, 2);
  }

  async #askIn(
    exchange: Exchange,
    request: ChatRequest,
    model: string,
    headers: CallContext['headers'],
    hops: number,
  ): Promise<PieceSource<string>> {
    const { stream, body, reasoningTags, eventLimitBytes } = this.#config;
    const asked = withoutThinking(request, reasoningTags);
    const dialect = this.#dialect;
    const response = await exchange.send(this.#chatUrl, {
      method: 'POST',
      headers: headers ? { ...headers, ...this.#chatHeaders } : this.#chatHeaders,
      body: jsonBody(asked, bodyOf(asked, model, { ...dialect, stream, body })),
    });
    if (!isOk(response)) {
      const refusal = await exchange.refusal(response, model);
      if (request.options?.reasoningEffort && refusesEffort(refusal)) {
        if (this.#effortless.size >= effortlessLimit) this.#effortless.clear();
        this.#effortless.add(model);
        return this.#askIn(exchange, withoutEffort(request), model, headers, hops);
      }
      const alternative = alternativeTo(dialect, refusal);
      if (!alternative || hops === 0) throw refusal;
      this.#dialect = alternative;
      return this.#askIn(exchange, request, model, headers, hops - 1);
    }
    return new BodyPieces(exchange.body(response), new BodySplitter(eventLimitBytes));
  }

  embed(request: EmbedRequest, call: CallContext): Promise<Embeddings> {
    return this.embedWith(request, call, async (exchange, signal) => {
      const model = request.model ?? (await this.#embeddingModel(signal));
      const encoding = this.#encoding;
      try {
        return await this.#embedIn(exchange, request, model, call, encoding);
      } catch (error) {
        if (!encoding || !refusesEncoding(error)) throw error;
        this.#encoding = undefined;
        return this.#embedIn(exchange, request, model, call, undefined);
      }
    });
  }

  async #embedIn(
    exchange: Exchange,
    request: EmbedRequest,
    model: string,
    { headers }: CallContext,
    encoding: 'base64' | undefined,
  ): Promise<Embeddings> {
    const own = this.#headers({ accept: 'application/json', 'content-type': 'application/json' });
    const response = await exchange.send(endpointUrl(this.server.url, 'embeddings'), {
      method: 'POST',
      headers: { ...headers, ...own },
      body: JSON.stringify(embedBodyOf(request, model, encoding)),
    });
    if (!isOk(response)) throw await exchange.refusal(response, model);
    return embeddingsIn(await exchange.text(response));
  }

  /** The model that makes embeddings according to the list, else the configured one, the first, or the server's choice. */
  async #embeddingModel(signal: AbortSignal): Promise<string> {
    const preferred = await this.preferredModel(signal);
    await this.models.known(signal).catch(() => []);
    return this.models.embedding ?? preferred ?? '';
  }

  protected reader(): PieceReader<string> {
    const { eventLimitBytes, reasoningTags } = this.#config;
    return new ChunkReader(eventLimitBytes, ReasoningTags.of(reasoningTags));
  }

  protected async list(signal: AbortSignal): Promise<readonly ModelDetails[]> {
    const exchange = this.exchange(signal);
    const response = await exchange.send(endpointUrl(this.server.url, 'models'), {
      headers: this.#headers({ accept: 'application/json' }),
    });
    if (!isOk(response)) throw await exchange.refusal(response);
    const text = await exchange.text(response);
    const models = modelsIn(text);
    if (!lacksWindowInUse(text)) return models;
    const window = await this.#windowInUse(signal);
    return window === undefined ? models : models.map((model) => ({ ...model, contextLength: window }));
  }

  /** The context window of a llama-server, which has one model; undefined where it does not tell. */
  async #windowInUse(signal: AbortSignal): Promise<number | undefined> {
    try {
      const exchange = this.exchange(signal);
      const url = new URL('../props', endpointUrl(this.server.url, 'models'));
      const response = await exchange.send(url, { headers: this.#headers({ accept: 'application/json' }) });
      return isOk(response) ? windowInProps(await exchange.text(response)) : undefined;
    } catch {
      // The list is of use without it.
      return undefined;
    }
  }

  /** The configured model, else the first that the server lists, else the server's choice. */
  protected async preferredModel(signal: AbortSignal): Promise<string | undefined> {
    if (this.#config.model) return this.#config.model;
    try {
      return (await this.models.known(signal))[0];
    } catch (error) {
      if (!signal.aborted && hasAnswered(error)) return '';
      throw error;
    }
  }

  protected override windowOf(
    model: string,
    request: ChatRequest,
    tokens: number,
  ): ContextWindow | undefined {
    const { contextTokens } = this.#config;
    const told = super.windowOf(model, request, tokens);
    return contextTokens === undefined || (told && told.tokens < contextTokens)
      ? told
      : { tokens: contextTokens };
  }

  protected override knownModel(): string | undefined {
    return this.#config.model || this.models.cached()?.[0];
  }

  protected override get canAskUnlisted(): boolean {
    return true;
  }

  protected async check(signal: AbortSignal): Promise<AgentHealth> {
    const models = await this.models.ask(signal);
    if (models.length > 0 || this.#config.model !== '') return { healthy: true, models };
    return { healthy: false, detail: this.server.noModel, models };
  }

  #headers(given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const { apiKey, headers } = this.#config;
    return withExtra({ ...given, ...(apiKey !== '' && { authorization: `Bearer ${apiKey}` }) }, headers);
  }
}

function withoutEffort(request: ChatRequest): ChatRequest {
  const { reasoningEffort: _, ...options } = request.options ?? {};
  return { ...request, options };
}
