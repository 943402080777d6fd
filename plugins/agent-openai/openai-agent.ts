import { Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import {
  type AgentCall,
  type AgentHealth,
  BaseAgent,
  type ChatRequest,
  Exchange,
  ExchangeError,
  isOk,
  messageOf,
  type StreamChunk,
  WaggleError,
  Watchdog,
} from '#kernel';
import { ChunkReader } from './chunks.js';
import type { Config } from './config.js';
import { type Events, eventsOf } from './events.js';
import { failureOf, refusalOf } from './failure.js';
import { bodyOf } from './request.js';

const bodyLimitBytes = 4 << 20;
const modelsTtlMs = 30_000;
const noModel = 'the model server lists no model; set model';

/** Models behind any server that speaks OpenAI's API. */
export class OpenAiAgent extends BaseAgent {
  readonly name: string;
  readonly description = "Models on a server that speaks OpenAI's API";
  readonly provider = 'openai';
  readonly #config: Config;
  readonly #base: URL;
  readonly #connections: HttpAgent;
  #models: { readonly names: readonly string[]; readonly at: number } | undefined;

  constructor(name: string, config: Config) {
    super();
    this.name = name;
    this.#config = config;
    this.#base = new URL(config.baseUrl.replace(/\/*$/, '/'));
    this.#connections =
      this.#base.protocol === 'https:'
        ? new HttpsAgent({ keepAlive: true })
        : new HttpAgent({ keepAlive: true });
  }

  /** Closes every connection. */
  close(): void {
    this.#connections.destroy();
  }

  /** @throws AGENT_UNAVAILABLE, AGENT_TIMEOUT, AGENT_PROTOCOL, AGENT_DISCONNECTED, AGENT_FAILED */
  async *generateResponseStream(
    request: ChatRequest,
    { signal, logger, headers }: AgentCall,
  ): AsyncGenerator<readonly StreamChunk[]> {
    const { firstTokenTimeoutMs, tokenTimeoutMs } = this.#config;
    const watchdog = new Watchdog(signal);
    const exchange = this.#exchange(watchdog.signal);
    const reader = new ChunkReader();
    try {
      watchdog.watch(firstTokenTimeoutMs, 'until the first token');
      const model = request.model ?? (await this.#preferredModel(watchdog.signal));
      for await (const { data, error } of this.#ask(exchange, request, model, headers)) {
        const batch: StreamChunk[] = [];
        let failure: unknown = error;
        try {
          for (const each of data) if (!reader.over) reader.read(each, batch);
        } catch (cause) {
          failure = cause;
        }
        if (batch.length > 0) {
          // What came before a broken event is good.
          watchdog.pause();
          yield batch;
          watchdog.watch(tokenTimeoutMs, 'between two tokens');
        }
        if (reader.over) return;
        if (failure) throw failure;
      }
      const rest: StreamChunk[] = [];
      reader.end(rest);
      if (!reader.over)
        throw new WaggleError('AGENT_DISCONNECTED', { agent: this.name, why: 'it ended without an end' });
      yield rest;
    } catch (error) {
      signal.throwIfAborted();
      const { expired } = watchdog;
      if (expired) throw new WaggleError('AGENT_TIMEOUT', { agent: this.name, ...expired }, { cause: error });
      const failure = failureOf(this.name, error);
      logger.debug({ err: failure }, 'the model server failed');
      throw failure;
    } finally {
      watchdog.stop();
      await exchange.close(reader.over);
    }
  }

  /** Healthy when the server lists its models, and there is one to ask. */
  async health(signal: AbortSignal): Promise<AgentHealth> {
    try {
      const models = await this.#listed(signal);
      if (models.length > 0 || this.#config.model !== '') return { healthy: true, models };
      return { healthy: false, detail: noModel, models };
    } catch (error) {
      return { healthy: false, detail: messageOf(failureOf(this.name, error)) };
    }
  }

  /** The events of an answer; one that is not streamed is a single event. */
  async *#ask(
    exchange: Exchange,
    request: ChatRequest,
    model: string,
    headers: AgentCall['headers'],
  ): AsyncGenerator<Events> {
    const field = this.#base.hostname === 'api.openai.com' ? 'max_completion_tokens' : 'max_tokens';
    const body = JSON.stringify(bodyOf(request, model, field));
    const response = await exchange.send(new URL('chat/completions', this.#base), {
      method: 'POST',
      headers: {
        ...headers,
        ...this.#headers,
        accept: 'text/event-stream',
        'content-type': 'application/json',
      },
      body,
    });
    if (!isOk(response)) throw await this.#refusal(exchange, response, model);
    if (!/^application\/json\b/.test(response.headers['content-type'] ?? ''))
      return yield* eventsOf(response, this.#config.eventLimitBytes);
    yield { data: [await exchange.text(response)] };
  }

  async #refusal(exchange: Exchange, response: IncomingMessage, model: string): Promise<WaggleError> {
    return refusalOf(this.name, response, await exchange.text(response), model);
  }

  get #headers(): Readonly<Record<string, string>> {
    const { apiKey } = this.#config;
    return apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` };
  }

  #exchange(signal: AbortSignal): Exchange {
    const { connectTimeoutMs } = this.#config;
    return new Exchange(this.#connections, { connectTimeoutMs, bodyLimitBytes }, signal);
  }

  async #preferredModel(signal: AbortSignal): Promise<string> {
    const { model } = this.#config;
    if (model !== '') return model;
    const known = this.#models;
    const isFresh = known && performance.now() - known.at < modelsTtlMs;
    const [first] = isFresh ? known.names : await this.#listed(signal);
    if (first) return first;
    throw new WaggleError('AGENT_UNAVAILABLE', { agent: this.name, why: noModel });
  }

  async #listed(signal: AbortSignal): Promise<readonly string[]> {
    const exchange = this.#exchange(signal);
    const response = await exchange.send(new URL('models', this.#base), { headers: this.#headers });
    if (!isOk(response)) throw await this.#refusal(exchange, response, '');
    const names = idsIn(await exchange.text(response));
    this.#models = { names, at: performance.now() };
    return names;
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
