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

/** Starts runs for clients of OpenAI's API, and writes their answers. */
export class Completions {
  readonly #streams: ChatStreams;
  readonly #models: Models;
  readonly #config: Config;
  /** By request, as long as that is answered. */
  readonly #runs = new WeakMap<HttpRequest, Reply>();

  constructor(streams: ChatStreams, models: Models, config: Config) {
    this.#streams = streams;
    this.#models = models;
    this.#config = config;
  }

  /** Everything that fails below `/v1`. */
  readonly format: ErrorFormat['format'] = (error, request) => {
    const isOtherApi = error.code === 'NOT_FOUND' && request.path.startsWith('/v1/responses');
    return errorAnswer(error, this.#runs.get(request)?.streamId, isOtherApi ? sentence : undefined);
  };

  /** `POST /v1/chat/completions` */
  async chat(request: HttpRequest, response: HttpResponse): Promise<void> {
    const order = await readChat(request, this.#agentOf);
    const { reasoningField } = this.#config;
    await this.#answer(
      order,
      (streamId, model) => new ChatChunkFormat(streamId, model, reasoningField),
      request,
      response,
    );
  }

  /** `POST /v1/completions` */
  async text(request: HttpRequest, response: HttpResponse): Promise<void> {
    const order = await readText(request);
    await this.#answer(order, (streamId, model) => new TextChunkFormat(streamId, model), request, response);
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
      // Clients of models take for one whatever answers here.
      demo: false,
      ...traceContextIn(request),
    });
    this.#runs.set(request, reply);
    const wordedFor = (agent: string) => formatFor(reply.streamId, modelOf(model, asked.agent, agent));
    const warning = warningOf(command.options ?? {}, leftOut, this.#agentOf(model));
    const headers = { ...exposed, ...warning, 'x-stream-id': reply.streamId };
    if (streamed) {
      const parts = new EventStream(reply, wordedFor, includeUsage, this.#config);
      return response.stream(200, { ...eventStreamHeaders, ...headers }, parts);
    }
    const answer = await readWhole(reply, request.signal);
    if (!answer) return;
    const { agent } = answer;
    response.json(200, wordedFor(agent).whole(answer), { ...headers, ...agentHeader(agent) });
  }
}

/** The model as it was asked for, with the agent that answers in its name behind it. */
function modelOf(model: string, asked: string, agent: string): string {
  if (agent === '' || agent === asked) return model;
  return `${asked}/${agent}${model.slice(asked.length)}`;
}
