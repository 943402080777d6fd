import type { ChatStreams, ErrorFormat, HttpRequest, HttpResponse } from '#kernel';
import { eventStreamHeaders } from '#sdk';
import { Answers, type DialectConfig, exposedHeaders, type Models } from '#sdk/dialect';
import { readCount, readMessages } from './command.js';
import { messagesError } from './errors.js';
import { MessageEvents, ping } from './message-events.js';
import { messageObject } from './message-object.js';
import { estimatedTokens } from './token-estimate.js';

/** Starts replies for clients of Anthropic's Messages API and sends their answers. */
export class MessagesApi {
  readonly #answers: Answers;
  readonly #models: Models;
  readonly #config: DialectConfig;

  constructor(streams: ChatStreams, models: Models, config: DialectConfig) {
    this.#answers = new Answers(streams, models);
    this.#models = models;
    this.#config = config;
  }

  /** Format of the errors of both routes. */
  readonly format: ErrorFormat['format'] = (error, request) =>
    messagesError(error, request.id, this.#answers.streamIdOf(request));

  /** `POST /v1/messages` */
  async create(request: HttpRequest, response: HttpResponse): Promise<void> {
    const asked = await readMessages(request, (model) => this.#models.agentOf(model));
    const run = await this.#answers.start(asked, request);
    const { reply, modelOf } = run;
    const head = { streamId: reply.streamId, requestId: request.id, display: asked.display, modelOf };
    const headers = headersFor(request);
    if (!asked.streamed)
      return this.#answers.whole(run, request, response, headers, (answer) => messageObject(answer, head));
    const pace = { ...this.#config, heartbeat: ping };
    const media = { ...eventStreamHeaders, ...headers };
    await this.#answers.stream(run, response, media, new MessageEvents(head), pace);
  }

  /** `POST /v1/messages/count_tokens` */
  async count(request: HttpRequest, response: HttpResponse): Promise<void> {
    const asked = await readCount(request, (model) => this.#models.agentOf(model));
    const warning = { 'x-waggle-warning': 'input_tokens is an estimate' };
    response.json(200, { input_tokens: estimatedTokens(asked) }, { ...headersFor(request), ...warning });
  }
}

/** The official clients read the id of a request in a header of this name. */
function headersFor({ id }: HttpRequest) {
  return { ...exposedHeaders, 'request-id': id };
}
