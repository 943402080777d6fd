import type { AgentCall, AgentHealth, AgentTakes, ChatRequest } from '#kernel';
import {
  BodyPieces,
  type Exchange,
  endpointUrl,
  hasAnswered,
  isOk,
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
import { alternativeTo, type Dialect } from './dialect.js';
import { modelsIn } from './models.js';
import { bodyOf } from './request.js';

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
    headers: AgentCall['headers'],
  ): Promise<PieceSource<string>> {
    // A server may refuse two fields, one after the other.
    return this.#askIn(exchange, request, model, headers, 2);
  }

  async #askIn(
    exchange: Exchange,
    request: ChatRequest,
    model: string,
    headers: AgentCall['headers'],
    hops: number,
  ): Promise<PieceSource<string>> {
    const { stream, body, reasoningTags, eventLimitBytes } = this.#config;
    const asked = withoutThinking(request, reasoningTags);
    const dialect = this.#dialect;
    const response = await exchange.send(this.#chatUrl, {
      method: 'POST',
      headers: headers ? { ...headers, ...this.#chatHeaders } : this.#chatHeaders,
      body: JSON.stringify(bodyOf(asked, model, { ...dialect, stream, body })),
    });
    if (!isOk(response)) {
      const refusal = await exchange.refusal(response, model);
      const alternative = alternativeTo(dialect, refusal);
      if (!alternative || hops === 0) throw refusal;
      this.#dialect = alternative;
      return this.#askIn(exchange, request, model, headers, hops - 1);
    }
    return new BodyPieces(exchange.body(response), new BodySplitter(eventLimitBytes));
  }

  protected reader(): PieceReader<string> {
    const { eventLimitBytes, reasoningTags } = this.#config;
    return new ChunkReader(eventLimitBytes, ReasoningTags.of(reasoningTags));
  }

  protected async list(signal: AbortSignal): Promise<readonly string[]> {
    const exchange = this.exchange(signal);
    const response = await exchange.send(endpointUrl(this.server.url, 'models'), {
      headers: this.#headers({ accept: 'application/json' }),
    });
    if (!isOk(response)) throw await exchange.refusal(response);
    return modelsIn(await exchange.text(response), this.#config.model);
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
