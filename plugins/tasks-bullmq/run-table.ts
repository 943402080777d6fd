import type { ClientErrorCode, EventBus, WaggleError } from '#kernel';
import { charsIn, ExpiringSet, HeldChars, IdMap, KeyedRuns, type RequestKey } from '#sdk';
import type { Config } from './config.js';
import { Ledger } from './ledger.js';
import type { Outcome } from './outcome.js';
import { type RunOwner, SharedRun, type SharedRunOptions } from './shared-run.js';

/** Parts of a table of runs. */
export interface RunTableOptions {
  readonly config: Config;
  readonly bus: EventBus;
  cancel(run: SharedRun): Promise<boolean>;
  /** Called when a run has started or ended. */
  changed(): void;
}

/** The runs that this node knows, and their states: those accepted here, and those of other nodes that it follows. */
export class RunTable {
  readonly ledger = new Ledger();
  readonly unended = new Set<SharedRun>();
  readonly #config: Config;
  readonly #bus: EventBus;
  readonly #runs = new IdMap<SharedRun>();
  readonly #keyed = new KeyedRuns<SharedRun>();
  readonly #kept: ExpiringSet<SharedRun>;
  readonly #room: HeldChars;
  readonly #owner: RunOwner;
  readonly #changed: () => void;
  #isClosing = false;

  constructor({ config, bus, cancel, changed }: RunTableOptions) {
    this.#config = config;
    this.#bus = bus;
    this.#kept = new ExpiringSet(config, (run) => this.#forget(run));
    this.#room = new HeldChars(config, this.#kept);
    this.#owner = { cancel, grew: (chars) => this.#room.add(chars) };
    this.#changed = changed;
  }

  find(id: string): SharedRun | undefined {
    return this.#runs.get(id);
  }

  findKeyed(key: RequestKey | undefined): SharedRun | undefined {
    return this.#keyed.find(key);
  }

  /** Claims the key for a new run. @throws IDEMPOTENCY_MISMATCH when another request has it */
  claim(key: RequestKey | undefined): void {
    this.#keyed.claim(key);
  }

  /** Makes a run that is not in the table yet. */
  create(options: Omit<SharedRunOptions, 'maxPartials'>): SharedRun {
    return new SharedRun({ ...options, maxPartials: this.#config.maxPartials }, this.#owner);
  }

  /** Counts the characters of a new run; false where there is no room for them. */
  reserve(run: SharedRun): boolean {
    return this.#room.add(run.chars);
  }

  /** Enters a run whose characters are reserved. */
  enter(run: SharedRun, key?: RequestKey): void {
    this.#runs.set(run.id, run);
    this.unended.add(run);
    this.#keyed.keep(key, run);
  }

  /** Takes back that a run was reserved or entered. */
  withdraw(run: SharedRun): void {
    this.unended.delete(run);
    this.#forget(run);
  }

  /** Stops following a run. */
  leave(run: SharedRun): void {
    this.withdraw(run);
    run.leaves();
  }

  /** Announces a run that was accepted here and is in Redis, once. */
  announce(run: SharedRun): void {
    if (run.isAnnounced) return;
    run.isAnnounced = true;
    const { id: taskId, name, priority } = run;
    this.#bus.emit('task:queued', { taskId, name, priority, userId: run.data.owner });
  }

  started(run: SharedRun | undefined, runner: string, attempt: number): void {
    if (!run || run.ended) return;
    run.starts(runner, attempt);
    if (run.entry) this.ledger.move(run.entry, 'running');
    this.#changed();
  }

  waits(run: SharedRun | undefined, state: 'queued' | 'delayed'): void {
    if (!run || run.ended) return;
    run.waits(state);
    if (run.entry) this.ledger.move(run.entry, state);
  }

  ended(run: SharedRun | undefined, outcome: Outcome, error?: WaggleError<ClientErrorCode>): void {
    if (!run || run.ended) return;
    const before = run.chars;
    run.ends(outcome, error);
    run.chars += charsIn(outcome.output) - charsIn(run.data.input);
    run.forgetInput();
    this.#room.add(run.chars - before);
    this.unended.delete(run);
    if (run.entry) this.ledger.move(run.entry, outcome.state);
    // The same request after a failure is another try.
    if (outcome.state === 'failed') this.#keyed.drop(run);
    if (this.#isClosing) this.#forget(run);
    else this.#kept.keep(run);
    this.#changed();
  }

  /** Keeps no more runs that end. */
  closing(): void {
    this.#isClosing = true;
  }

  /** Leaves what has not ended to the other nodes. */
  close(): void {
    for (const run of this.unended) run.leaves();
    this.#kept.clear();
  }

  #forget(run: SharedRun): void {
    this.#runs.delete(run.id);
    this.#keyed.drop(run);
    this.#room.free(run.chars);
  }
}
