import { type Agent, type ChatRequest, type EventBus, type StreamChunk, toClientError } from '#kernel';

/** Events of one attempt of an agent: `agent:asked`, and exactly one for its end. */
export class Attempt {
  /** Headers for the agent's model server, added by listeners. */
  readonly headers: Readonly<Record<string, string>>;
  readonly #bus: EventBus;
  readonly #about: { readonly streamId: string; readonly agent: string };
  readonly #startedAt = performance.now();
  #over = false;

  constructor(bus: EventBus, { id: streamId, model }: ChatRequest, agent: Agent, fallback: boolean) {
    this.#bus = bus;
    this.#about = { streamId, agent: agent.name };
    const { provider } = agent;
    const about = { ...(provider && { provider }), ...(model && { model }) };
    const headers = {};
    bus.emit('agent:asked', { ...this.#about, fallback, ...about, headers });
    this.headers = headers;
  }

  /** Announces the end of its answer. */
  answered(batch: readonly { readonly type: string }[]): void {
    const { reason, model, usage } = batch[batch.length - 1] as Extract<StreamChunk, { type: 'done' }>;
    const known = { reason, ...(model && { model }), ...(usage && { usage }) };
    if (this.#ends()) this.#bus.emit('agent:answered', { ...this.#about, runMs: this.#runMs, ...known });
  }

  failed(error: unknown): void {
    const { code } = toClientError(error);
    if (this.#ends()) this.#bus.emit('agent:failed', { ...this.#about, runMs: this.#runMs, code, error });
  }

  cancelled(): void {
    if (this.#ends()) this.#bus.emit('agent:cancelled', { ...this.#about, runMs: this.#runMs });
  }

  get #runMs(): number {
    return performance.now() - this.#startedAt;
  }

  #ends(): boolean {
    const ends = !this.#over;
    this.#over = true;
    return ends;
  }
}
