import { Ollama } from 'ollama/browser';
import type { AgentCall, AgentHealth, ChatOptions, ChatRequest } from '#kernel';
import { version } from '#sdk';
import {
  BodyPieces,
  type Exchange,
  endpointUrl,
  isOk,
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
import { fetchOver } from './fetch.js';
import { canChat } from './models.js';
import { type Line, NdjsonSplitter } from './ndjson.js';
import { ignoredBy, withConfiguredOptions } from './options.js';
import { bodyOf, type Streamed, withoutEffort } from './request.js';
import { Verbatim } from './verbatim.js';

const chatHeaders = {
  'content-type': 'application/json',
  accept: 'application/json',
  // As the client itself says who asks: some proxies refuse requests without it.
  'user-agent': `waggle-server/${version}`,
};

/** Chat models on an Ollama server. */
export class OllamaAgent extends UpstreamAgent<Line> {
  readonly description = 'Chat models on an Ollama server';
  readonly provider = 'ollama';
  readonly #config: Config;
  readonly #chatUrl: URL;
  /** Headers of a chat, and those among them that take precedence over the ones of a call. */
  readonly #headers: Readonly<Record<string, string>>;
  readonly #extra: Readonly<Record<string, string>>;

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
    this.#chatUrl = endpointUrl(server.url, 'api/chat');
    this.#extra = withExtra({}, config.headers);
    this.#headers = Object.freeze({ ...chatHeaders, ...cloudKeyFor(server.url), ...this.#extra });
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
    const verbatim = new Verbatim();
    const asked = withoutThinking(request, this.#config.reasoningTags);
    const body = withConfiguredOptions(bodyOf(asked, model, verbatim), this.#config);
    const send = (each: Streamed) =>
      exchange.send(this.#chatUrl, {
        method: 'POST',
        headers: headers ? { ...this.#headers, ...headers, ...this.#extra } : this.#headers,
        body: verbatim.splice(JSON.stringify(each)),
      });
    let response = await send(body);
    if (!isOk(response)) {
      const refusal = await exchange.refusal(response, model);
      const other = withoutEffort(body, request.options, refusal);
      if (!other) throw refusal;
      response = await send(other);
      if (!isOk(response)) throw await exchange.refusal(response, model);
    }
    // One object or many: both are lines. The content type does not matter.
    return new BodyPieces(exchange.body(response), new NdjsonSplitter(this.#config.lineLimitBytes));
  }

  protected reader(): PieceReader<Line> {
    return new ChunkReader(ReasoningTags.of(this.#config.reasoningTags));
  }

  protected async list(signal: AbortSignal): Promise<readonly string[]> {
    const { models } = await this.#inquire(signal).list();
    return models.filter((each) => this.#isWanted(each.name) || canChat(each)).map(({ name }) => name);
  }

  protected async preferredModel(signal: AbortSignal): Promise<string | undefined> {
    // If the list fails, the chat request itself reports why.
    return this.#preferredOf(await this.models.known(signal).catch((): readonly string[] => []));
  }

  protected override knownModel(): string | undefined {
    const names = this.models.cached();
    return names && this.#preferredOf(names);
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

  /** The configured model if it is installed or the list is unknown, else the first installed one. */
  #preferredOf(names: readonly string[]): string | undefined {
    const { model } = this.#config;
    return names.some((name) => this.#isWanted(name)) ? model : (names[0] ?? (model || undefined));
  }

  #isWanted(name: string): boolean {
    const { model } = this.#config;
    return model !== '' && (name === model || name === `${model}:latest`);
  }

  #inquire(signal: AbortSignal): Ollama {
    const fetch = fetchOver(this.exchange(signal), this.#extra);
    return new Ollama({ host: this.server.url.href, fetch });
  }
}

/** The key that the client itself sends to Ollama's cloud. */
function cloudKeyFor({ protocol, hostname }: URL): Readonly<Record<string, string>> {
  const key = protocol === 'https:' && hostname === 'ollama.com' ? process.env.OLLAMA_API_KEY : undefined;
  return key ? { authorization: `Bearer ${key}` } : {};
}
