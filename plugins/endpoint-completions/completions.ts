import type { ChatStreams, ErrorFormat, HttpRequest, HttpResponse } from '#kernel';
import { eventStreamHeaders, keepAlive } from '#sdk';
import {
  type Answer,
  Answers,
  type AnswerTexts,
  exposedHeaders,
  type Models,
  openAiError,
} from '#sdk/dialect';
import { type AnswerHead, ChatChunks, TextChunks, wholeChat, wholeText } from './chunk-format.js';
import { type CompletionRequest, readChat, readText } from './command.js';
import type { Config } from './config.js';

/** The two forms of an answer. */
interface Format {
  chunks(head: AnswerHead): AnswerTexts;
  whole(answer: Answer, head: AnswerHead): object;
}

/** Starts replies for clients of OpenAI's Chat Completions API and sends their answers. */
export class Completions {
  readonly #answers: Answers;
  readonly #models: Models;
  readonly #config: Config;
  readonly #chat: Format;
  readonly #text: Format = { chunks: (head) => new TextChunks(head), whole: wholeText };

  constructor(streams: ChatStreams, models: Models, config: Config) {
    this.#answers = new Answers(streams, models);
    this.#models = models;
    this.#config = config;
    const { reasoningField: field } = config;
    this.#chat = {
      chunks: (head) => new ChatChunks(head, field),
      whole: (answer, head) => wholeChat(answer, head, field),
    };
  }

  /** Format of the errors of both routes. */
  readonly format: ErrorFormat['format'] = (error, request) =>
    openAiError(error, this.#answers.streamIdOf(request));

  /** `POST /v1/chat/completions` */
  async chat(request: HttpRequest, response: HttpResponse): Promise<void> {
    const asked = await readChat(request, (model) => this.#models.agentOf(model));
    await this.#answer(asked, this.#chat, request, response);
  }

  /** `POST /v1/completions` */
  async text(request: HttpRequest, response: HttpResponse): Promise<void> {
    await this.#answer(await readText(request), this.#text, request, response);
  }

  async #answer(
    asked: CompletionRequest,
    { chunks, whole }: Format,
    request: HttpRequest,
    response: HttpResponse,
  ): Promise<void> {
    const run = await this.#answers.start(asked, request);
    const { includeUsage } = asked;
    const { createdAt, modelOf } = run;
    const head = { streamId: run.reply.streamId, createdAt, modelOf, includeUsage };
    if (!asked.streamed)
      return this.#answers.whole(run, request, response, exposedHeaders, (answer) => whole(answer, head));
    const headers = { ...eventStreamHeaders, ...exposedHeaders };
    const pace = { ...this.#config, heartbeat: keepAlive };
    await this.#answers.stream(run, response, headers, chunks(head), pace);
  }
}
