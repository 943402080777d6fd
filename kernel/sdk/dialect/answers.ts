import type { ChatStreams, Reply } from '../../contracts/stream.js';
import type { Headers, HttpRequest, HttpResponse } from '../../contracts/transport.js';
import { agentHeader, contextHeaders, traceContextIn } from '../headers.js';
import { AnswerBody, type AnswerPace } from './answer-body.js';
import type { AnswerTexts } from './answer-events.js';
import type { DialectRequest } from './dialect-request.js';
import type { Models } from './models.js';
import { warningOf } from './takes.js';
import { type Answer, readWhole } from './whole-answer.js';

/** A reply that was started for a request of a dialect. */
export interface Run {
  readonly reply: Reply;
  /** The agent that was asked for. */
  readonly asked: string;
  readonly headers: Headers;
  /** The time at which it was started, in Unix seconds: the same for all who read it. */
  readonly createdAt: number;
  /** The name of the model in answers: as requested, followed by the agent that answers in its place. */
  modelOf(agent: string): string;
}

/** Starts replies for the requests of a dialect, and sends their answers. */
export class Answers {
  readonly #streams: ChatStreams;
  readonly #models: Models;
  /** Replies by the request that waits for them. */
  readonly #replies = new WeakMap<HttpRequest, Reply>();
  readonly #startedAt = new WeakMap<Reply, number>();

  constructor(streams: ChatStreams, models: Models) {
    this.#streams = streams;
    this.#models = models;
  }

  /** The id of the reply that a request has started, for its error. */
  streamIdOf(request: HttpRequest): string | undefined {
    return this.#replies.get(request)?.streamId;
  }

  /** `request` is absent for a frame of a WebSocket. @throws AGENT_UNKNOWN, QUEUE_FULL, SHUTTING_DOWN, IDEMPOTENCY_MISMATCH */
  async start({ model, command, leftOut }: DialectRequest, request?: HttpRequest): Promise<Run> {
    const asked = this.#models.resolve(model);
    const reply = await this.#streams.start({
      ...command,
      ...asked,
      // Clients take any answer for one of a model.
      demo: false,
      ...(request && traceContextIn(request)),
    });
    if (request) this.#replies.set(request, reply);
    const createdAt = this.#startedAt.get(reply) ?? Math.floor(Date.now() / 1000);
    this.#startedAt.set(reply, createdAt);
    const warning = warningOf(command.options ?? {}, leftOut, this.#models.agentOf(model));
    return {
      reply,
      asked: asked.agent,
      headers: { ...warning, 'x-stream-id': reply.streamId },
      createdAt,
      modelOf: (agent) => modelOf(model, asked.agent, agent),
    };
  }

  /** Sends the answer as it comes. @throws the failure of a reply that said nothing */
  stream(
    { reply, asked, headers }: Run,
    response: HttpResponse,
    mediaHeaders: Headers,
    events: AnswerTexts,
    pace: AnswerPace,
  ): Promise<void> {
    const body = new AnswerBody(reply, asked, events, pace);
    return response.stream(200, { ...mediaHeaders, ...headers }, body);
  }

  /** Sends the whole answer as JSON; a text is JSON already. @throws the failure of the reply */
  async whole(
    { reply, asked, headers }: Run,
    request: HttpRequest,
    response: HttpResponse,
    mediaHeaders: Headers,
    bodyOf: (answer: Answer) => object | string,
  ): Promise<void> {
    const answer = await readWhole(reply, asked, request.signal);
    if (!answer) return;
    const body = bodyOf(answer);
    const { agent, context, truncated } = answer;
    const all = { ...mediaHeaders, ...headers, ...agentHeader(agent), ...contextHeaders(context, truncated) };
    if (typeof body === 'string') response.send(200, body, all);
    else response.json(200, body, all);
  }
}

/** The requested model, followed by the agent that answers in its place. */
export function modelOf(model: string, asked: string, agent: string): string {
  if (agent === '' || agent === asked) return model;
  return `${asked}/${agent}${model.slice(asked.length)}`;
}
