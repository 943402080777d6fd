import {
  type Cluster,
  type EventBus,
  type SubmitOptions,
  type TaskDefinition,
  toClientError,
  WaggleError,
} from '#kernel';
import { checkNow, fromClient, type RequestKey, randomId, requestKey, wrongDurations } from '#sdk';
import { engineError } from '#sdk/redis';
import { inputOf, priorityOf } from '#sdk/tasks';
import type { Config } from './config.js';
import type { Executor } from './executor.js';
import type { Follower } from './follower.js';
import type { Hints } from './hints.js';
import type { SharedKeys } from './keys.js';
import type { Entry } from './ledger.js';
import type { TaskData } from './line.js';
import type { Lines } from './lines.js';
import type { Places } from './places.js';
import { notJson } from './plain-json.js';
import type { QueueLimit } from './queue-limit.js';
import type { RunTable } from './run-table.js';
import type { SharedRun } from './shared-run.js';
import { Turnstile } from './turnstile.js';

const retryAfterMs = 1000;
/** Commands of `submit` under way; the rest waits for its turn, within the limits of the line. */
const maxAdds = 1000;

/** Parts of an acceptor. */
export interface AcceptorOptions {
  readonly config: Config;
  readonly cluster: Cluster;
  readonly bus: EventBus;
  readonly lines: Lines;
  readonly table: RunTable;
  readonly limit: QueueLimit;
  readonly keys: SharedKeys;
  readonly follower: Follower;
  readonly executor: Executor;
  readonly places: Places;
  readonly hints: Hints;
  definitionOf(name: string): TaskDefinition | undefined;
  /** Resolves once the engine is connected. */
  started(): Promise<void>;
}

/** Accepts runs into Redis, or refuses them. */
export class Acceptor {
  /** Refuses what is new, other than parts of what runs. */
  isDraining = false;
  /** Refuses all. */
  isOver = false;
  readonly #options: AcceptorOptions;
  readonly #claiming = new Map<string, Promise<unknown>>();
  readonly #adds = new Turnstile(maxAdds);

  constructor(options: AcceptorOptions) {
    this.#options = options;
  }

  async submit(name: string, input: unknown, options: SubmitOptions): Promise<SharedRun> {
    const { table } = this.#options;
    const key = requestKey(options.owner, options.idempotencyKey, { name, input: input ?? {} });
    for (let before = key && this.#claiming.get(key.id); key && before; before = this.#claiming.get(key.id))
      await before.catch(() => {}); // its own caller hears of it
    const known = table.findKeyed(key);
    if (known) return known;
    const accepting = this.#submit(name, input, options, key);
    if (key) {
      const done = () => void this.#claiming.delete(key.id);
      this.#claiming.set(key.id, accepting);
      accepting.then(done, done);
    }
    return accepting;
  }

  /** Counts a submission that is refused, and returns its error. */
  refuse(name: string, owner: string | undefined, error: unknown, entry?: Entry): unknown {
    const { table, bus } = this.#options;
    if (entry) table.ledger.refuse(entry);
    else table.ledger.rejected(name);
    bus.emit('task:rejected', { name, code: toClientError(error).code, userId: owner });
    return error;
  }

  /** @throws SHUTTING_DOWN */
  checkOpen(isPart = false): void {
    if (this.isOver || (this.isDraining && !isPart)) throw new WaggleError('SHUTTING_DOWN', { retryAfterMs });
  }

  async #submit(
    name: string,
    input: unknown,
    options: SubmitOptions,
    key: RequestKey | undefined,
  ): Promise<SharedRun> {
    const { config, cluster, lines, table, keys, definitionOf } = this.#options;
    let entry: Entry | undefined;
    try {
      table.claim(key);
      this.checkOpen(options.isPart);
      const definition = definitionOf(name);
      if (!definition) throw new WaggleError('TASK_UNKNOWN', { task: name.slice(0, 128) });
      this.#check(definition, input, options);
      const line = lines.of(definition);
      const { delayMs = 0, onQueued } = options;
      const priority = priorityOf(definition, options, config);
      entry = table.ledger.enter(name, priority, delayMs > 0 ? 'delayed' : 'queued');
      // The line is the last part: a log shows the first characters.
      const id = `${randomId()}.${line.name}`;
      const data: TaskData = {
        ...{ id, name, input, priority, by: cluster.nodeId },
        ...{ owner: options.owner, connection: options.connection, timeoutMs: options.timeoutMs },
        key: key && keys.nameOf(key),
      };
      return await this.#accept(table.create({ id, line, data, delayMs, entry, onQueued }), key);
    } catch (error) {
      throw this.refuse(name, options.owner, error, entry);
    }
  }

  async #accept(run: SharedRun, key: RequestKey | undefined): Promise<SharedRun> {
    const { config, table, keys, follower, executor, places, hints, started } = this.#options;
    const { fetcher } = executor;
    if (!table.reserve(run)) {
      table.withdraw(run);
      const details = { limit: config.totalLimitChars, what: 'characters of tasks' };
      throw new WaggleError('QUEUE_FULL', { ...details, retryAfterMs });
    }
    const { id, line, data, delayMs } = run;
    try {
      await started();
      const known = key && (await keys.claim(key, id, (other) => follower.findKeyed(other)));
      if (known) {
        table.withdraw(run);
        // It is counted where it was accepted.
        if (run.entry) table.ledger.forget(run.entry);
        return known;
      }
      table.enter(run, key);
      await this.#adds.pass(() => line.add(data, delayMs));
    } catch (error) {
      table.withdraw(run);
      throw engineError(error);
    }
    table.announce(run);
    await fetcher.takeOne(line, id);
    if (run.isWaiting && delayMs === 0 && fetcher.room(line) === 0) hints.add(line);
    places.add(run);
    places.tell();
    return run;
  }

  /** Before the input is checked a refusal has to be cheap. @throws INVALID_REQUEST, QUEUE_FULL */
  #check(definition: TaskDefinition, input: unknown, { timeoutMs, delayMs = 0 }: SubmitOptions): void {
    const { lines, limit, executor } = this.#options;
    const issues = [...wrongDurations({ timeoutMs }, 1), ...wrongDurations({ delayMs })];
    if (issues.length > 0) throw new WaggleError('INVALID_REQUEST', { issues });
    const line = lines.of(definition);
    limit.check(definition, line, delayMs > 0 ? 0 : executor.fetcher.room(line));
    const wrong = notJson(input);
    if (wrong !== undefined)
      throw new WaggleError('INVALID_REQUEST', {
        issues: [`input${wrong} is not JSON, which tasks of several servers need`],
      });
    if (!definition.input) return;
    // It is checked again where it runs, and one whose check takes its time only there.
    const checked = checkNow(definition.input, input, fromClient);
    if (checked instanceof Promise) checked.catch(() => {});
    else inputOf(checked);
  }
}
