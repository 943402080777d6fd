import { Ollama, type ChatRequest as OllamaRequest } from 'ollama/browser';
import type { AgentCall, AgentHealth, ChatOptions, ChatRequest } from '#kernel';
import {
  BodyPieces,
  type Exchange,
  type PieceReader,
  type PieceSource,
  ReasoningTags,
  UpstreamAgent,
  withExtra,
  withoutThinking,
} from '#sdk/upstream';
import { baseUrlOf } from './base-url.js';
import { ChunkReader } from './chunks.js';
import type { Config } from './config.js';
import { OllamaFetch } from './fetch.js';
import { canChat } from './models.js';
import { type Line, NdjsonSplitter } from './ndjson.js';
import { ignoredBy, withConfiguredOptions } from './options.js';
import { bodyOf, chat } from './request.js';
import type { Verbatim } from './verbatim.js';

/** Chat models on an Ollama server. Each request has its own client, so that it can be stopped alone. */
export class OllamaAgent extends UpstreamAgent<Line> {
  readonly description = 'Chat models on an Ollama server';
  readonly provider = 'ollama';
  readonly #config: Config;

  constructor(config: Config) {
    const server = {
      agent: config.name,
      server: 'Ollama',
      url: baseUrlOf(config.baseUrl),
      advice: 'start it or set OLLAMA_HOST',
      noModel: 'Ollama has no model that can chat; run "ollama pull llama3.2"',
      model: config.model,
      upstream: config.upstream,
      secrets: Object.values(config.headers),
    };
    super(server, config);
    this.#config = config;
  }

  ignores(options: ChatOptions): readonly string[] {
    return ignoredBy(options);
  }

  protected async ask(
    exchange: Exchange,
    request: ChatRequest,
    model: string,
    headers: AgentCall['headers'],
  ): Promise<PieceSource<Line>> {
    const fetched = new OllamaFetch(exchange, withExtra(headers ?? {}, this.#config.headers), model);
    const body = this.#requestFor(request, model, fetched.verbatim);
    await chat(this.#client(fetched), body, request.options?.reasoningEffort);
    return new BodyPieces(fetched.body, new NdjsonSplitter(this.#config.lineLimitBytes));
  }

  protected reader(): PieceReader<Line> {
    return new ChunkReader(ReasoningTags.of(this.#config.reasoningTags));
  }

  protected async list(signal: AbortSignal): Promise<readonly string[]> {
    const { models } = await this.#inquire(signal).list();
    return models.filter((each) => this.#isWanted(each.name) || canChat(each)).map(({ name }) => name);
  }

  /** The configured model if it is installed or the list is unknown, else the first installed one. */
  protected async preferredModel(signal: AbortSignal): Promise<string | undefined> {
    const { model } = this.#config;
    // If the list fails, the chat request itself reports why.
    const names = await this.models.known(signal).catch((): readonly string[] => []);
    return names.some((name) => this.#isWanted(name)) ? model : (names[0] ?? (model || undefined));
  }

  protected async check(signal: AbortSignal): Promise<AgentHealth> {
    const [models, version] = await Promise.all([this.models.ask(signal), this.#version(signal)]);
    if (models.length > 0) return { healthy: true, detail: `Ollama ${version}`.trim(), models };
    return { healthy: false, detail: this.server.noModel, models };
  }

  /** Version of Ollama; empty for servers that only imitate its API. */
  async #version(signal: AbortSignal): Promise<string> {
    try {
      return (await this.#inquire(signal).version()).version;
    } catch {
      return '';
    }
  }

  #isWanted(name: string): boolean {
    const { model } = this.#config;
    return model !== '' && (name === model || name === `${model}:latest`);
  }

  #inquire(signal: AbortSignal): Ollama {
    return this.#client(new OllamaFetch(this.exchange(signal), withExtra({}, this.#config.headers)));
  }

  #client({ fetch }: OllamaFetch): Ollama {
    return new Ollama({ host: this.server.url.href, fetch });
  }

  #requestFor(
    request: ChatRequest,
    model: string,
    verbatim: Verbatim,
  ): OllamaRequest & { readonly stream: true } {
    const asked = withoutThinking(request, this.#config.reasoningTags);
    return withConfiguredOptions(bodyOf(asked, model, verbatim), this.#config);
  }
}
