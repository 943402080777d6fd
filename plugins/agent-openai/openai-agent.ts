import {
  type AgentCall,
  type AgentHealth,
  type AgentTakes,
  BodyPieces,
  type ChatRequest,
  type Exchange,
  ExchangeError,
  isOk,
  type PieceReader,
  type PieceSource,
  ReasoningTags,
  UpstreamAgent,
  withoutThinking,
} from '#kernel';
import { BodySplitter } from './body.js';
import { ChunkReader } from './chunks.js';
import type { Config } from './config.js';
import { bodyOf } from './request.js';

/** Models behind any server that speaks OpenAI's API. */
export class OpenAiAgent extends UpstreamAgent<string> {
  readonly description = "Models on a server that speaks OpenAI's API";
  readonly provider = 'openai';
  readonly takes: AgentTakes;
  readonly #config: Config;

  constructor(name: string, config: Config) {
    const server = {
      agent: name,
      server: 'the model server',
      url: new URL(config.baseUrl.replace(/\/*$/, '/')),
      advice: 'start it or set baseUrl',
      keyAdvice: 'set apiKey',
      secrets: [config.apiKey],
      noModel: 'the model server lists no model; set model',
    };
    super(server, config);
    this.#config = config;
    this.takes = { imageUrls: config.imageUrls === 'pass', parts: true };
  }

  /** Nothing: its model server may know what we do not. */
  ignores(): readonly string[] {
    return [];
  }

  /** Its pieces are the data of events; an answer that is not streamed is a single one. */
  protected async ask(
    exchange: Exchange,
    request: ChatRequest,
    model: string,
    headers: AgentCall['headers'],
  ): Promise<PieceSource<string>> {
    const { url } = this.server;
    const field = url.hostname === 'api.openai.com' ? 'max_completion_tokens' : 'max_tokens';
    const response = await exchange.send(new URL('chat/completions', url), {
      method: 'POST',
      headers: {
        ...headers,
        ...this.#headers,
        accept: 'text/event-stream',
        'content-type': 'application/json',
      },
      body: JSON.stringify(bodyOf(withoutThinking(request, this.#config.reasoningTags), model, field)),
    });
    if (!isOk(response)) throw await exchange.refusal(response, model);
    return new BodyPieces(await exchange.body(response), new BodySplitter(this.#config.eventLimitBytes));
  }

  protected reader(): PieceReader<string> {
    const { eventLimitBytes, reasoningTags } = this.#config;
    return new ChunkReader(eventLimitBytes, ReasoningTags.of(reasoningTags));
  }

  protected async list(signal: AbortSignal): Promise<readonly string[]> {
    const exchange = this.exchange(signal);
    const response = await exchange.send(new URL('models', this.server.url), { headers: this.#headers });
    if (!isOk(response)) throw await exchange.refusal(response);
    return idsIn(await exchange.text(response));
  }

  /** The configured model, else the first that the server lists. */
  protected async preferredModel(signal: AbortSignal): Promise<string | undefined> {
    return this.#config.model || (await this.models.known(signal))[0];
  }

  protected async check(signal: AbortSignal): Promise<AgentHealth> {
    const models = await this.models.ask(signal);
    if (models.length > 0 || this.#config.model !== '') return { healthy: true, models };
    return { healthy: false, detail: this.server.noModel, models };
  }

  get #headers(): Readonly<Record<string, string>> {
    const { apiKey } = this.#config;
    return apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` };
  }
}

function idsIn(text: string): readonly string[] {
  try {
    const { data } = JSON.parse(text) as { readonly data: readonly { readonly id: unknown }[] };
    return data.map(({ id }) => id).filter((id): id is string => typeof id === 'string');
  } catch (cause) {
    throw new ExchangeError('CONTENT_TYPE', 'its list of models cannot be read', { cause });
  }
}
