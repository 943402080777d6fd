import cluster from 'node:cluster';
import type { ShardAnswer, Shards, SharedPort } from '../../contracts/shards.js';
import { WaggleError } from '../../errors.js';
import { type Logger, silentLogger } from '../../logger.js';
import type { ControlAnswer, ControlCommand, TakeCommand } from '../live/control-socket.js';
import type { StopSignals } from '../stop-signals.js';
import { type CallHandlers, Calls, type Channel } from './calls.js';
import { shardVariable } from './shard-count.js';

const reserveTimeoutMs = 15_000;
const askTimeoutMs = 2000;

/** This process as one of several of a server, with a supervisor that has started it. */
export class Shard implements Shards {
  readonly index: number;
  readonly count: number;
  readonly #signals: StopSignals;
  readonly #calls: Calls;
  readonly #topics = new Map<string, (body: unknown) => unknown>();
  /** Questions under way to all shards. */
  readonly #asking = new Map<string, Promise<readonly ShardAnswer[]>>();
  #control: TakeCommand | undefined;
  #logger = silentLogger;

  /** Undefined in a server with one process. */
  static ofProcess(signals: StopSignals): Shard | undefined {
    const [, index, count] = /^(\d+)\/(\d+)$/.exec(process.env[shardVariable] ?? '') ?? [];
    // The programs that this process starts are none.
    delete process.env[shardVariable];
    return index !== undefined && cluster.isWorker
      ? new Shard(Number(index), Number(count), signals)
      : undefined;
  }

  private constructor(index: number, count: number, signals: StopSignals) {
    this.index = index;
    this.count = count;
    this.#signals = signals;
    const handlers: CallHandlers = {
      stop: (why: string) => signals.stop(why),
      reload: () => signals.reload(),
      asked: ({ topic, body }: { readonly topic: string; readonly body: unknown }) => this.#own(topic, body),
      control: (command: ControlCommand) => this.#controlled(command),
    };
    this.#calls = new Calls(process as unknown as Channel, handlers);
    // Else Node.js ends this process at once when the supervisor is gone.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true;
    process.once('disconnect', () => this.#orphaned());
    this.#calls.tell('listening');
  }

  logTo(logger: Logger): void {
    this.#logger = logger;
  }

  /** Tells the supervisor that this process has started. */
  started(): void {
    this.#calls.tell('started');
  }

  /** Takes `waggle plan` and `waggle apply` from the supervisor. */
  takeCommands(take: TakeCommand): { close(): void } {
    this.#control = take;
    return {
      close: () => {
        this.#control = undefined;
      },
    };
  }

  async reserve(host: string, asked: number): Promise<SharedPort> {
    const found = await this.#calls
      .call('reserve', { host, port: asked }, reserveTimeoutMs)
      .catch((cause: Error) => {
        throw new WaggleError('LISTEN_FAILED', { host, port: asked, why: cause.message }, { cause });
      });
    if (typeof found !== 'number')
      throw new WaggleError('LISTEN_FAILED', { host, port: asked, why: String(found) });
    return { port: found, release: () => this.#calls.tell('release', { host, port: asked }) };
  }

  ask(topic: string, body?: unknown): Promise<readonly ShardAnswer[]> {
    // Any number of readers of the same figures ask once.
    const key = JSON.stringify([topic, body]);
    const asking = this.#asking.get(key) ?? this.#ask(topic, body).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }

  answer(topic: string, give: (body: unknown) => unknown): () => void {
    this.#topics.set(topic, give);
    return () => {
      if (this.#topics.get(topic) === give) this.#topics.delete(topic);
    };
  }

  async #ask(topic: string, body: unknown): Promise<readonly ShardAnswer[]> {
    const shard = this.index;
    const [own, others] = await Promise.all([
      this.#own(topic, body).then(
        (answer) => ({ shard, body: answer }),
        () => ({ shard }),
      ),
      this.#calls.call('ask', { topic, body }, askTimeoutMs).catch(() => []),
    ]);
    const given = new Map([own, ...(others as readonly ShardAnswer[])].map((each) => [each.shard, each]));
    return Array.from({ length: this.count }, (_, index) => given.get(index) ?? { shard: index });
  }

  async #own(topic: string, body: unknown): Promise<unknown> {
    const give = this.#topics.get(topic);
    if (!give) throw new Error(`nothing answers "${topic}"`);
    try {
      return await give(body);
    } catch (error) {
      this.#logger.error({ err: error, topic }, 'a question of the shards was not answered');
      throw error;
    }
  }

  async #controlled(command: ControlCommand): Promise<ControlAnswer> {
    return this.#control?.(command) ?? { text: 'waggle: the server is starting or stopping\n', code: 1 };
  }

  #orphaned(): void {
    this.#calls.close();
    this.#signals.stop('the end of the supervisor');
  }
}
