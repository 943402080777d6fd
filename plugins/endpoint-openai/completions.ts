import type { ChatStreams, ErrorFormat, HttpRequest, HttpResponse, Reply } from '#kernel';
import { agentHeader, eventStreamHeaders, traceContextIn } from '#sdk';
import { ChatChunkFormat, type ChunkFormat, TextChunkFormat } from './chunk-format.js';
import { type CompletionRequest, readChat, readText } from './command.js';
import type { Config } from './config.js';
import { errorAnswer, exposed } from './errors.js';
import { EventStream } from './event-stream.js';
import type { Models } from './models.js';
import { sentence } from './shape.js';
import { warningOf } from './takes.js';
import { readWhole } from './whole.js';

/** Starts replies for clients of OpenAI's API and sends their answers. */
export class Completions {
  readonly #streams: ChatStreams;
  readonly #models: Models;
  readonly #config: Config;
  /** Replies by the request that waits for them. */
  readonly #replies = new WeakMap<HttpRequest, Reply>();

  constructor(streams: ChatStreams, models: Models, config: Config) {
    this.#streams = streams;
    this.#models = models;
    this.#config = config;
  }

  /** Format of all errors below `/v1`. */
  readonly format: ErrorFormat['format'] = (error, request) => {
    const isOtherApi = error.code === 'NOT_FOUND' && request.path.startsWith('/v1/responses');
    return errorAnswer(error, this.#replies.get(request)?.streamId, isOtherApi ? sentence : undefined);
  };

  /** `POST /v1/chat/completions` */
  async chat(request: HttpRequest, response: HttpResponse): Promise<void> {
    const completion = await readChat(request, this.#agentOf);
    const { reasoningField } = this.#config;
    await this.#answer(
      completion,
      (streamId, model) => new ChatChunkFormat(streamId, model, reasoningField),
      request,
      response,
    );
  }

  /** `POST /v1/completions` */
  async text(request: HttpRequest, response: HttpResponse): Promise<void> {
    const completion = await readText(request);
    await this.#answer(
      completion,
      (streamId, model) => new TextChunkFormat(streamId, model),
      request,
      response,
    );
  }

  readonly #agentOf = (model: string) => this.#models.agentOf(model);

  async #answer(
    { command, model, streamed, includeUsage, leftOut }: CompletionRequest,
    formatFor: (streamId: string, model: string) => ChunkFormat,
    request: HttpRequest,
    response: HttpResponse,
  ): Promise<void> {
    const asked = this.#models.resolve(model);
    const reply = this.#streams.start({
      ...command,
      ...asked,
      // Clients take any answer for one of a model.
      demo: false,
      ...traceContextIn(request),
    });
    this.#replies.set(request, reply);
    const formatted = (agent: string) => formatFor(reply.streamId, modelOf(model, asked.agent, agent));
    const warning = warningOf(command.options ?? {}, leftOut, this.#agentOf(model));
    const headers = { ...exposed, ...warning, 'x-stream-id': reply.streamId };
    if (streamed) {
      const parts = new EventStream(reply, asked.agent, formatted, includeUsage, this.#config);
      return response.stream(200, { ...eventStreamHeaders, ...headers }, parts);
    }
    const answer = await readWhole(reply, asked.agent, request.signal);
    if (!answer) return;
    const { agent } = answer;
    response.json(200, formatted(agent).whole(answer), { ...headers, ...agentHeader(agent) });
  }
}

/** The requested model, followed by the agent that answers in its place. */
function modelOf(model: string, asked: string, agent: string): string {
  if (agent === '' || agent === asked) return model;
  return `${asked}/${agent}${model.slice(asked.length)}`;
}
