import { closeCodes, type EventBus, type KernelEvents } from '#kernel';
import type { ReplyView } from './docs.js';

const maxRecent = 30;
// Above the default limit of running replies; more would mean that ends were not announced.
const maxRunning = 10_000;

interface Running {
  readonly number: number;
  readonly agent: string;
  readonly startedAtMs: number;
}

/** Recent replies and connection counts, from bus events: a few per reply, none per token. */
export class ReplyHistory {
  readonly #running = new Map<string, Running>();
  /** The newest last. */
  readonly #recent: ReplyView[] = [];
  #replies = 0;
  readonly #ended = { finished: 0, failed: 0, cancelled: 0 };
  readonly #closed = new Map<string, number>();
  #opened = 0;
  #refused = 0;

  /** Subscribes to the bus, which ends the subscription with the plugin. */
  constructor(bus: Pick<EventBus, 'on'>) {
    bus.on('chat:started', (event) => this.#started(event));
    bus.on('chat:finished', ({ streamId, usage }) =>
      this.#end(streamId, 'finished', usage && { outputTokens: usage.outputTokens }),
    );
    bus.on('chat:failed', ({ streamId, code }) => this.#end(streamId, 'failed', { code }));
    bus.on('chat:cancelled', ({ streamId }) => this.#end(streamId, 'cancelled'));
    bus.on('connection:opened', () => void this.#opened++);
    bus.on('connection:closed', ({ code }) => {
      const key = closeCodes.has(code) ? String(code) : 'other';
      this.#closed.set(key, (this.#closed.get(key) ?? 0) + 1);
    });
    bus.on('connection:refused', () => void this.#refused++);
  }

  /** Connections since the start; closed ones by close code, unknown codes as `other`. */
  get connections() {
    const closed: Readonly<Record<string, number>> = Object.fromEntries(this.#closed);
    return { opened: this.#opened, refused: this.#refused, closed };
  }

  /** Ended replies since the start, by outcome. */
  get ended(): Readonly<Record<'finished' | 'failed' | 'cancelled', number>> {
    return this.#ended;
  }

  /** Recent replies, newest first: running ones, then ended ones. */
  get replies(): readonly ReplyView[] {
    const now = performance.now();
    const running = [...this.#running.values()].slice(-maxRecent).map(
      ({ number, agent, startedAtMs }): ReplyView => ({
        ...{ number, agent, state: 'running', durationMs: Math.round(now - startedAtMs) },
      }),
    );
    return [...running.reverse(), ...[...this.#recent].reverse()].slice(0, maxRecent);
  }

  #started({ streamId, agent }: KernelEvents['chat:started']): void {
    const running = { number: ++this.#replies, agent, startedAtMs: performance.now() };
    if (this.#running.size < maxRunning) this.#running.set(streamId, running);
  }

  #end(
    streamId: string,
    state: 'finished' | 'failed' | 'cancelled',
    more: Pick<ReplyView, 'outputTokens' | 'code'> = {},
  ): void {
    const {
      number = ++this.#replies,
      agent = '',
      startedAtMs = performance.now(),
    } = this.#running.get(streamId) ?? {};
    this.#running.delete(streamId);
    this.#ended[state]++;
    const durationMs = Math.round(performance.now() - startedAtMs);
    this.#recent.push({ number, agent, state, durationMs, ...more });
    if (this.#recent.length > maxRecent) this.#recent.shift();
  }
}
