import {
  type Agent,
  type ChatRequest,
  type EventBus,
  type KernelEvents,
  type StreamChunk,
  toClientError,
  type Usage,
} from '#kernel';
import type { Mutable } from './mutable.js';

let attempts = 0;

/** Events of one attempt of an agent: `agent:asked`, and exactly one for its end. */
export class Attempt {
  /** Headers for the agent's model server, if listeners have added any. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly #bus: EventBus;
  readonly #streamId: string;
  readonly #userId: string | undefined;
  readonly #agent: string;
  /** Tells its events from those of others. */
  readonly number = ++attempts;
  readonly #startedAt = performance.now();
  #over = false;

  /** `parent`: the attempt of the agent that asks. */
  constructor(
    bus: EventBus,
    { id: streamId, userId, model }: ChatRequest,
    agent: Agent,
    fallback: boolean,
    parent?: number,
  ) {
    this.#bus = bus;
    this.#streamId = streamId;
    this.#userId = userId;
    this.#agent = agent.name;
    const { provider } = agent;
    const headers = {};
    const asked: Mutable<KernelEvents['agent:asked']> = {
      streamId,
      userId,
      agent: agent.name,
      fallback,
      attempt: this.number,
      headers,
    };
    if (parent !== undefined) asked.parent = parent;
    if (provider) asked.provider = provider;
    if (model) asked.model = model;
    bus.emit('agent:asked', asked);
    this.headers = Object.keys(headers).length > 0 ? headers : undefined;
  }

  /** Announces the end of its answer; `own`: its usage, where others have a part in that of the answer; null for none. */
  answered(batch: readonly { readonly type: string }[], own?: Usage | null): void {
    const { reason, model, usage: told } = batch[batch.length - 1] as Extract<StreamChunk, { type: 'done' }>;
    if (!this.#ends()) return;
    const usage = own === undefined ? told : own;
    const answered: Mutable<KernelEvents['agent:answered']> = { ...this.#about, reason };
    if (model) answered.model = model;
    if (usage) answered.usage = usage;
    this.#bus.emit('agent:answered', answered);
  }

  failed(error: unknown): void {
    const { code } = toClientError(error);
    if (this.#ends()) this.#bus.emit('agent:failed', { ...this.#about, code, error });
  }

  cancelled(): void {
    if (this.#ends()) this.#bus.emit('agent:cancelled', this.#about);
  }

  get #about(): KernelEvents['agent:cancelled'] {
    const runMs = performance.now() - this.#startedAt;
    const attempt = this.number;
    return { streamId: this.#streamId, userId: this.#userId, agent: this.#agent, attempt, runMs };
  }

  #ends(): boolean {
    const ends = !this.#over;
    this.#over = true;
    return ends;
  }
}
