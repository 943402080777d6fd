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
  UpstreamAgent,
} from '#kernel';
import { ChunkReader } from './chunks.js';
import type { Config } from './config.js';
import { EventSplitter } from './events.js';
import { refusalOf } from './failure.js';
import { bodyOf } from './request.js';
import { WholeAnswer } from './whole-answer.js';

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
      body: JSON.stringify(bodyOf(request, model, field)),
    });
    if (!isOk(response)) throw refusalOf(this.server, response, await exchange.text(response), model);
    if (/^application\/json\b/.test(response.headers['content-type'] ?? ''))
      return new WholeAnswer(await exchange.text(response));
    return new BodyPieces(response, new EventSplitter(this.#config.eventLimitBytes));
  }

  protected reader(): PieceReader<string> {
    return new ChunkReader(this.#config.eventLimitBytes);
  }

  protected async list(signal: AbortSignal): Promise<readonly string[]> {
    const exchange = this.exchange(signal);
    const response = await exchange.send(new URL('models', this.server.url), { headers: this.#headers });
    const text = await exchange.text(response);
    if (!isOk(response)) throw refusalOf(this.server, response, text, '');
    return idsIn(text);
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
