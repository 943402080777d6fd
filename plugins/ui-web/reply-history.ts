import { closeCodes, type EventBus, type KernelEvents } from '#kernel';

const maxRecent = 30;
// More than may run at once by default; one more than that would be a reply whose end nobody announced.
const maxRunning = 10_000;

/** A reply, without its id: whoever has that may read and cancel it. */
export interface ReplyView {
  /** Counts up from 1 with each reply since the start. */
  readonly number: number;
  readonly agent: string;
  readonly state: 'running' | 'finished' | 'failed' | 'cancelled';
  readonly durationMs: number;
  readonly outputTokens?: number;
  /** Why it failed. */
  readonly code?: string;
}

/** What came of connections since the start. */
export interface ConnectionCounts {
  readonly opened: number;
  readonly refused: number;
  /** Closed ones by close code; those that clients made up are `other`. */
  readonly closed: Readonly<Record<string, number>>;
}

interface Running {
  readonly number: number;
  readonly agent: string;
  readonly startedAtMs: number;
}

/** Remembers what the bus announces of replies and connections: a few steps for each of them, none for a token. */
export class ReplyHistory {
  readonly #running = new Map<string, Running>();
  #recent: readonly ReplyView[] = [];
  #replies = 0;
  readonly #ended = { finished: 0, failed: 0, cancelled: 0 };
  readonly #closed = new Map<string, number>();
  #opened = 0;
  #refused = 0;

  /** Listens for as long as the bus lets it. */
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

  get connections(): ConnectionCounts {
    return {
      opened: this.#opened,
      refused: this.#refused,
      closed: Object.fromEntries(this.#closed),
    };
  }

  /** How replies ended, since the start. */
  get ended(): Readonly<Record<'finished' | 'failed' | 'cancelled', number>> {
    return this.#ended;
  }

  /** The newest replies, the newest first: those that run, then those that have ended. */
  get replies(): readonly ReplyView[] {
    const now = performance.now();
    const running = [...this.#running.values()].slice(-maxRecent).map(
      ({ number, agent, startedAtMs }): ReplyView => ({
        ...{ number, agent, state: 'running', durationMs: Math.round(now - startedAtMs) },
      }),
    );
    return [...running.reverse(), ...this.#recent].slice(0, maxRecent);
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
    this.#recent = [{ number, agent, state, durationMs, ...more }, ...this.#recent].slice(0, maxRecent);
  }
}
