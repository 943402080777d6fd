import type { Embeddings, EmbedRequest } from '../../contracts/agent.js';
import type { Chat } from '../../contracts/chat.js';
import type { Headers, HttpRequest } from '../../contracts/transport.js';
import type { Logger } from '../../logger.js';
import { actingUser } from '../acting-user.js';
import { agentHeader, traceContextIn } from '../headers.js';
import { modelOf } from './answers.js';
import type { Models } from './models.js';

/** A request for embeddings, read from a dialect. */
export interface EmbedAsked extends Omit<EmbedRequest, 'userId'> {
  /** The model as the client names it: an agent, or `agent/model`. */
  readonly model: string;
  /** The user that the request names. */
  readonly user?: string | undefined;
}

/** Vectors for a client. */
export interface Embedded extends Embeddings {
  /** The name of the model in the answer. */
  readonly model: string;
  readonly headers: Headers;
}

/** Options of an `Embedder`. */
export interface EmbedderSettings {
  readonly logger: Logger;
  /** Limit of one request, or a function that gives it. */
  readonly timeoutMs: number | (() => number);
}

/** Makes the embeddings of a dialect. */
export class Embedder {
  readonly #chat: Chat;
  readonly #models: Models;
  readonly #logger: Logger;
  readonly #timeoutMs: () => number;

  constructor(chat: Chat, models: Models, { logger, timeoutMs }: EmbedderSettings) {
    this.#chat = chat;
    this.#models = models;
    this.#logger = logger;
    this.#timeoutMs = typeof timeoutMs === 'number' ? () => timeoutMs : timeoutMs;
  }

  /** A client that leaves stops the model. @throws AGENT_UNKNOWN, FORBIDDEN for another user, and as `Chat.embed` */
  async embed({ model: id, user, ...asked }: EmbedAsked, request: HttpRequest): Promise<Embedded> {
    const { agent, model } = this.#models.resolve(id);
    const { principal, signal } = request;
    const userId = actingUser(principal, user);
    const headers = { ...traceContextIn(request) } as Readonly<Record<string, string>>;
    const call = { signal, logger: this.#logger, headers, timeoutMs: this.#timeoutMs() };
    const made = await this.#chat.embed(
      { ...asked, principal, agent, model, userId },
      userId === undefined ? call : { ...call, userId },
    );
    return { ...made, model: modelOf(id, agent, made.agent), headers: agentHeader(made.agent) };
  }
}
