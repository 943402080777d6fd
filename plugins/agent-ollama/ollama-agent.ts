import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Ollama, type ChatRequest as OllamaRequest } from 'ollama/browser';
import {
  type AgentCall,
  type AgentHealth,
  BaseAgent,
  type ChatRequest,
  Exchange,
  messageOf,
  type StreamChunk,
  WaggleError,
  Watchdog,
} from '#kernel';
import { baseUrlOf } from './base-url.js';
import { BodyLines } from './body-lines.js';
import { ChunkReader } from './chunks.js';
import type { Config } from './config.js';
import { failureOf } from './failure.js';
import { OllamaFetch } from './fetch.js';
import { ask, bodyOf } from './request.js';

const bodyLimitBytes = 4 << 20;
const modelsTtlMs = 30_000;
const noModel = 'Ollama has no model; run "ollama pull llama3.2"';

/** Chat models behind an Ollama server. One client for each request, so that each can be stopped by itself. */
export class OllamaAgent extends BaseAgent {
  readonly name: string;
  readonly description = 'Chat models on an Ollama server';
  readonly provider = 'ollama';
  readonly #config: Config;
  readonly #host: string;
  readonly #connections: HttpAgent;
  #models: { readonly names: readonly string[]; readonly at: number } | undefined;

  constructor(config: Config) {
    super();
    this.name = config.name;
    this.#config = config;
    const url = baseUrlOf(config.baseUrl);
    this.#host = url.href;
    this.#connections =
      url.protocol === 'https:' ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
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
    const fetched = new OllamaFetch(exchange, headers);
    let over = false;
    let lines: BodyLines | undefined;
    try {
      watchdog.watch(firstTokenTimeoutMs, 'until the first token');
      const model = request.model ?? (await this.#preferredModel(watchdog.signal));
      await ask(this.#client(fetched), this.#requestFor(request, model), request.options?.reasoningEffort);
      const reader = new ChunkReader();
      lines = new BodyLines(fetched.body, this.#config.lineLimitBytes);
      for (let read = await lines.next(); read; read = await lines.next()) {
        const { values, error } = read;
        const batch: StreamChunk[] = [];
        let failure: unknown = error;
        try {
          for (const line of values) if (!over) over = reader.read(line, batch);
        } catch (cause) {
          failure = cause;
        }
        if (batch.length > 0) {
          // What came before a broken line is good.
          watchdog.pause();
          yield batch;
          watchdog.watch(tokenTimeoutMs, 'between two tokens');
        }
        if (over) return;
        if (failure) throw failure;
      }
      throw new WaggleError('AGENT_DISCONNECTED', { agent: this.name, why: 'it ended without "done"' });
    } catch (error) {
      signal.throwIfAborted();
      const { expired } = watchdog;
      if (expired) throw new WaggleError('AGENT_TIMEOUT', { agent: this.name, ...expired }, { cause: error });
      const failure = failureOf(this.name, error);
      logger.debug({ err: failure }, 'Ollama failed');
      throw failure;
    } finally {
      watchdog.stop();
      lines?.stop();
      await exchange.close(over);
    }
  }

  /** Healthy when the server answers and has a model. */
  async health(signal: AbortSignal): Promise<AgentHealth> {
    try {
      const { version } = await this.#client(new OllamaFetch(this.#exchange(signal))).version();
      const models = await this.#installed(signal);
      if (models.length > 0) return { healthy: true, detail: `Ollama ${version}`, models };
      return { healthy: false, detail: noModel, models };
    } catch (error) {
      return { healthy: false, detail: messageOf(failureOf(this.name, error)) };
    }
  }

  #client({ fetch }: OllamaFetch): Ollama {
    return new Ollama({ host: this.#host, fetch });
  }

  #exchange(signal: AbortSignal): Exchange {
    const { connectTimeoutMs } = this.#config;
    return new Exchange(this.#connections, { connectTimeoutMs, bodyLimitBytes }, signal);
  }

  #requestFor(request: ChatRequest, model: string): OllamaRequest & { readonly stream: true } {
    const { think, keepAlive } = this.#config;
    return {
      ...(think !== undefined && { think }),
      ...bodyOf(request, model),
      ...(keepAlive !== undefined && { keep_alive: keepAlive }),
    };
  }

  /** The configured model if it is installed or nothing is known, else the first installed one. */
  async #preferredModel(signal: AbortSignal): Promise<string> {
    const { model } = this.#config;
    const known = this.#models;
    const isFresh = known && performance.now() - known.at < modelsTtlMs;
    // Where the list cannot be had, the chat itself will say why.
    const names = isFresh ? known.names : await this.#installed(signal).catch(() => []);
    const isInstalled = names.includes(model) || names.includes(`${model}:latest`);
    const chosen = isInstalled || names.length === 0 ? model : names[0];
    if (chosen) return chosen;
    throw new WaggleError('AGENT_UNAVAILABLE', { agent: this.name, why: noModel });
  }

  async #installed(signal: AbortSignal): Promise<readonly string[]> {
    const { models } = await this.#client(new OllamaFetch(this.#exchange(signal))).list();
    const names = models.map(({ name }) => name);
    this.#models = { names, at: performance.now() };
    return names;
  }
}
