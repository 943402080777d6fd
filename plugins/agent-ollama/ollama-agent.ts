import { Ollama } from 'ollama/browser';
import type {
  AgentHealth,
  CallContext,
  ChatOptions,
  ChatRequest,
  ContextWindow,
  Embeddings,
  EmbedRequest,
  ModelDetails,
} from '#kernel';
import { lacksEmbeddings, Verbatim, version } from '#sdk';
import {
  BodyPieces,
  type Exchange,
  endpointUrl,
  type Inquiry,
  isOk,
  jsonBody,
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
import { ContextSizes, fullName } from './context-sizes.js';
import { embedBodyOf, embeddingsIn } from './embeddings.js';
import { fetchOver } from './fetch.js';
import { type Facts, factsInList, factsInShown, guessedFacts, type Installed } from './models.js';
import { type Line, NdjsonSplitter } from './ndjson.js';
import { ignoredBy, numCtxIn, numCtxOf, withConfiguredOptions } from './options.js';
import { bodyOf, type Streamed, withoutEffort } from './request.js';
import { ShownModels } from './shown-models.js';

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
  readonly #shown: ShownModels;
  readonly #sizes: ContextSizes;

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
    this.#sizes = new ContextSizes(config.maxNumCtx);
    this.#shown = new ShownModels((name, signal) => this.#show(name, signal), config.connectTimeoutMs);
  }

  ignores(options: ChatOptions): readonly string[] {
    return ignoredBy(options);
  }

  protected async ask(
    exchange: Exchange,
    request: ChatRequest,
    model: string,
    headers: CallContext['headers'],
  ): Promise<PieceSource<Line>> {
    const verbatim = new Verbatim();
    const asked = withoutThinking(request, this.#config.reasoningTags);
    const size = this.#sizes.sizeOf(model);
    const body = withConfiguredOptions(bodyOf(asked, model, verbatim), this.#config, size);
    const send = (each: Streamed) =>
      exchange.send(
        this.#chatUrl,
        this.#inquiryOf(
          jsonBody(asked, each, (json) => verbatim.splice(json)),
          headers,
        ),
      );
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

  embed(request: EmbedRequest, call: CallContext): Promise<Embeddings> {
    return this.embedWith(request, call, async (exchange, signal) => {
      const model = request.model ?? (await this.#embeddingModel(signal));
      const body = JSON.stringify(embedBodyOf(request, model, this.#config));
      const url = endpointUrl(this.server.url, 'api/embed');
      const response = await exchange.send(url, this.#inquiryOf(body, call.headers));
      if (!isOk(response)) throw await exchange.refusal(response, model);
      return embeddingsIn(await exchange.text(response));
    });
  }

  /** As the request or the config sets it; else it grows with the conversation. */
  protected override windowOf(
    model: string,
    request: ChatRequest,
    tokens: number,
  ): ContextWindow | undefined {
    const { numCtx, options } = this.#config;
    const largest = this.#shown.contextLengthOf(model) ?? this.models.find(model)?.contextLength;
    const asked = numCtxOf(request.options) ?? numCtx ?? numCtxIn(options);
    if (asked !== undefined) return { tokens: Math.min(asked, largest ?? asked), slides: true };
    // A model that is not described yet may have a small one.
    if (largest === undefined) return undefined;
    return this.#sizes.windowFor(model, tokens, largest);
  }

  protected override async describe(model: string, signal: AbortSignal): Promise<void> {
    await Promise.allSettled([this.#shown.ask(model, signal), this.#readLoaded(model, signal)]);
  }

  /** Notes with which windows models are loaded. A server that does not tell counts as one without models in memory. */
  async #readLoaded(model: string, signal: AbortSignal): Promise<void> {
    let tokens: unknown;
    try {
      const { models } = await this.#inquire(signal).ps();
      const loaded: Loaded | undefined = models.find(({ name }) => name === fullName(model));
      tokens = loaded?.context_length;
    } finally {
      this.#sizes.loaded(model, typeof tokens === 'number' ? tokens : 0);
    }
  }

  override close(): void {
    this.#shown.close();
    super.close();
  }

  protected reader(): PieceReader<Line> {
    return new ChunkReader(ReasoningTags.of(this.#config.reasoningTags));
  }

  protected async list(signal: AbortSignal): Promise<readonly ModelDetails[]> {
    const listed: readonly Installed[] = (await this.#inquire(signal).list()).models;
    const models = listed.filter(({ name }) => typeof name === 'string');
    this.#shown.refresh(models);
    return models.map((each) => this.#detailsOf(each));
  }

  async loadedModels(signal: AbortSignal): Promise<readonly string[]> {
    const { models } = await this.#inquire(signal).ps();
    return models.flatMap(({ name }) => (typeof name === 'string' ? name : []));
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

  #detailsOf(model: Installed): ModelDetails {
    const { numCtx } = this.#config;
    const facts = { ...guessedFacts(model), ...factsInList(model), ...this.#shown.factsOf(model) };
    const contextLength = Math.min(numCtx ?? Infinity, facts.contextLength ?? Infinity);
    return { name: model.name, ...facts, ...(Number.isFinite(contextLength) && { contextLength }) };
  }

  /** @throws AGENT_FAILED where there is none */
  async #embeddingModel(signal: AbortSignal): Promise<string> {
    await this.models.known(signal);
    // The cached list may be older than a model, or than what is known of it.
    if (this.models.embedding === undefined) await this.models.ask(signal);
    const model = this.models.embedding;
    if (model !== undefined) return model;
    throw lacksEmbeddings(
      this.name,
      'Ollama has no model for embeddings; run "ollama pull nomic-embed-text"',
    );
  }

  async #show(model: string, signal: AbortSignal): Promise<Facts> {
    const exchange = this.exchange(signal);
    const url = endpointUrl(this.server.url, 'api/show');
    const response = await exchange.send(url, this.#inquiryOf(JSON.stringify({ model })));
    if (!isOk(response)) throw await exchange.refusal(response, model);
    return factsInShown(JSON.parse(await exchange.text(response)) ?? {});
  }

  #inquiryOf(body: NonNullable<Inquiry['body']>, headers?: CallContext['headers']): Inquiry {
    const all = headers ? { ...this.#headers, ...headers, ...this.#extra } : this.#headers;
    return { method: 'POST', headers: all, body };
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

/** A model as in `/api/ps`; older versions state no context length. */
interface Loaded {
  readonly name?: unknown;
  readonly context_length?: unknown;
}

/** The key that the client itself sends to Ollama's cloud. */
function cloudKeyFor({ protocol, hostname }: URL): Readonly<Record<string, string>> {
  const key = protocol === 'https:' && hostname === 'ollama.com' ? process.env.OLLAMA_API_KEY : undefined;
  return key ? { authorization: `Bearer ${key}` } : {};
}
