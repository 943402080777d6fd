import { closeCodes, type EventBus, type ReplyProgress } from '#kernel';
import type { ReplyView } from './docs.js';

const maxRecent = 30;
const maxShown = 100;
// Above the default limit of running replies; more would mean that ends were not announced.
const maxRunning = 10_000;

interface Running {
  readonly number: number;
  readonly userId: string;
  agent: string;
  readonly startedAtMs: number;
}

/** Recent replies and connection counts, from bus events: a few per reply, none per token. */
export class ReplyHistory {
  readonly #running = new Map<string, Running>();
  /** The newest last. */
  readonly #recent: (ReplyView & { readonly userId: string })[] = [];
  #replies = 0;
  readonly #ended = { finished: 0, failed: 0, cancelled: 0 };
  readonly #closed = new Map<string, number>();
  #opened = 0;
  #refused = 0;

  /** Subscribes to the bus, which ends the subscription with the plugin. */
  constructor(bus: Pick<EventBus, 'on'>) {
    bus.on('chat:accepted', ({ streamId, userId }) => void this.#known(streamId, userId));
    bus.on('chat:started', ({ streamId, userId, agent }) => {
      this.#known(streamId, userId).agent = agent;
    });
    bus.on('chat:finished', ({ streamId, userId, usage }) =>
      this.#end(streamId, userId, 'finished', usage && { outputTokens: usage.outputTokens }),
    );
    bus.on('chat:failed', ({ streamId, userId, code }) => this.#end(streamId, userId, 'failed', { code }));
    bus.on('chat:cancelled', ({ streamId, userId }) => this.#end(streamId, userId, 'cancelled'));
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
  replies(
    progressOf: (streamId: string) => ReplyProgress | undefined,
    showsUsers: boolean,
  ): readonly ReplyView[] {
    const now = performance.now();
    const running = [...this.#running].slice(-maxShown).map(([streamId, each]): ReplyView => {
      const { number, userId, agent, startedAtMs } = each;
      return {
        ...{ number, id: shortId(streamId), ...(showsUsers && { user: userId }), agent, state: 'running' },
        ...progressOf(streamId),
        durationMs: Math.round(now - startedAtMs),
      };
    });
    const recent = [...this.#recent].reverse().map(({ userId, ...reply }): ReplyView => {
      return { ...reply, ...(showsUsers && { user: userId }) };
    });
    return [...running.reverse(), ...recent].slice(0, Math.max(maxRecent, running.length));
  }

  /** The id of a running reply, which gives access to it. */
  streamOf(number: number): string | undefined {
    for (const [streamId, running] of this.#running) if (running.number === number) return streamId;
    return undefined;
  }

  #known(streamId: string, userId: string): Running {
    const known = this.#running.get(streamId);
    if (known) return known;
    const running = { number: ++this.#replies, userId, agent: '', startedAtMs: performance.now() };
    if (this.#running.size < maxRunning) this.#running.set(streamId, running);
    return running;
  }

  #end(
    streamId: string,
    userId: string,
    state: 'finished' | 'failed' | 'cancelled',
    more: Pick<ReplyView, 'outputTokens' | 'code'> = {},
  ): void {
    const { number, agent, startedAtMs } = this.#known(streamId, userId);
    this.#running.delete(streamId);
    this.#ended[state]++;
    const durationMs = Math.round(performance.now() - startedAtMs);
    this.#recent.push({ number, id: shortId(streamId), userId, agent, state, durationMs, ...more });
    if (this.#recent.length > maxRecent) this.#recent.shift();
  }
}

/** As in the log. The whole id gives access to the reply. */
function shortId(streamId: string): string {
  return streamId.slice(0, 6);
}
