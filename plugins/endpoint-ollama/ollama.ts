import type { ChatStreams, ErrorFormat, HttpRequest, HttpResponse } from '#kernel';
import { unbufferedHeaders, version } from '#sdk';
import { Answers, type Embedder, exposedHeaders, type Models } from '#sdk/dialect';
import { type EmbedBody, embedBody, embeddingsBody, showBody } from './body.js';
import { ollamaError } from './errors.js';
import { chatShape, generateShape, Lines, loadedBody, nanoseconds, type Shape, wholeText } from './lines.js';
import { apiVersion, shownOf, tagsOf } from './model-object.js';
import { ollamaOptions } from './options.js';
import { type AnswerRequest, modelIn, readBody, readChat, readGenerate } from './request.js';

const jsonHeaders = { 'content-type': 'application/json; charset=utf-8', ...exposedHeaders };
const lineHeaders = { 'content-type': 'application/x-ndjson', ...unbufferedHeaders, ...exposedHeaders };

/** Answers requests of Ollama's API. */
export class OllamaApi {
  readonly #answers: Answers;
  readonly #models: Models;
  readonly #embedder: Embedder;

  constructor(streams: ChatStreams, models: Models, embedder: Embedder) {
    this.#answers = new Answers(streams, models);
    this.#models = models;
    this.#embedder = embedder;
  }

  /** Format of the errors of all routes. */
  readonly format: ErrorFormat['format'] = (error, request) =>
    ollamaError(error, this.#answers.streamIdOf(request));

  /** `GET /api/version` */
  version(response: HttpResponse): void {
    response.json(200, { version: apiVersion, waggle: version }, exposedHeaders);
  }

  /** `GET /api/tags` */
  async tags(response: HttpResponse): Promise<void> {
    response.json(200, tagsOf(await this.#models.list()), exposedHeaders);
  }

  /** `POST /api/show` */
  async show(request: HttpRequest, response: HttpResponse): Promise<void> {
    const model = modelIn(await readBody(showBody, request));
    response.json(200, shownOf(await this.#models.find(model)), exposedHeaders);
  }

  /** `POST /api/chat` */
  async chat(request: HttpRequest, response: HttpResponse): Promise<void> {
    await this.#answer(await readChat(request), chatShape, request, response);
  }

  /** `POST /api/generate` */
  async generate(request: HttpRequest, response: HttpResponse): Promise<void> {
    await this.#answer(await readGenerate(request), generateShape, request, response);
  }

  /** `POST /api/embed` */
  async embed(request: HttpRequest, response: HttpResponse): Promise<void> {
    const since = performance.now();
    const body = await readBody(embedBody, request);
    const { input } = body;
    const texts = typeof input === 'string' ? [input] : (input ?? []);
    const model = modelIn(body);
    if (texts.length === 0) {
      await this.#models.check(model);
      response.json(200, { model, embeddings: [] }, exposedHeaders);
      return;
    }
    const made = await this.#embedder.embed({ ...askedIn(body), model, input: texts }, request);
    const answer = {
      model: made.model,
      embeddings: made.embeddings,
      ...nanoseconds('total_duration', performance.now() - since),
      ...(made.usage && { prompt_eval_count: made.usage.inputTokens }),
    };
    response.json(200, answer, { ...exposedHeaders, ...made.headers });
  }

  /** `POST /api/embeddings` */
  async embedding(request: HttpRequest, response: HttpResponse): Promise<void> {
    const body = await readBody(embeddingsBody, request);
    const model = modelIn(body);
    if (!body.prompt) {
      await this.#models.check(model);
      response.json(200, { embedding: [] }, exposedHeaders);
      return;
    }
    const made = await this.#embedder.embed({ ...askedIn(body), model, input: [body.prompt] }, request);
    response.json(200, { embedding: made.embeddings[0] }, { ...exposedHeaders, ...made.headers });
  }

  async #answer(
    asked: AnswerRequest,
    shape: Shape,
    request: HttpRequest,
    response: HttpResponse,
  ): Promise<void> {
    const { model } = asked;
    if (asked.isEmpty) {
      await this.#models.check(model);
      response.json(200, loadedBody(model, shape, asked.unloads), exposedHeaders);
      return;
    }
    const run = await this.#answers.start(asked, request);
    if (asked.streamed) {
      const lines = new Lines(shape, run.modelOf);
      await this.#answers.stream(run, response, lineHeaders, lines, {});
      return;
    }
    await this.#answers.whole(run, request, response, jsonHeaders, (answer) =>
      wholeText(answer, run.modelOf(answer.agent), shape),
    );
  }
}

type EmbedOptions = Pick<EmbedBody, 'options' | 'keep_alive'> & Partial<EmbedBody>;

function askedIn({ options, keep_alive, truncate, dimensions }: EmbedOptions) {
  return {
    truncate: truncate ?? undefined,
    dimensions: dimensions || undefined,
    ...ollamaOptions(options, { keep_alive }),
  };
}
