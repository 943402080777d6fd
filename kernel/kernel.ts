import { setImmediate as nextTurn } from 'node:timers/promises';
import { Bus, type EventBus } from './bus.js';
import { createContext, type Shared } from './context.js';
import type { Agent } from './contracts/agent.js';
import type { TaskDefinition } from './contracts/task.js';
import { drain } from './drain.js';
import { wrongDurations } from './duration.js';
import { messageOf, WaggleError } from './errors.js';
import { checkConfig, createEntry, type Entry, renew, reportOf, type UseOptions } from './instance.js';
import { blaming, createLogger, type Logger } from './logger.js';
import { dependentsOf, expectFit, orderPlugins } from './order.js';
import type { KernelReport, KernelState, Plugin, PluginState } from './plugin.js';
import { Registry } from './registry.js';
import { moreThan, openHandles, runningTimers } from './resources.js';
import { ServiceTable, type Token, tokenId } from './services.js';
import { runStep } from './step.js';

/** What a kernel may be told; all of it has defaults. */
export interface KernelOptions {
  readonly logger?: Logger;
  /** How long one plugin may take for each of setup, ready and stop. Default 10 s. */
  readonly pluginTimeoutMs?: number;
  /** How long running work may go on after `stop`. Default 10 s. */
  readonly drainTimeoutMs?: number;
}

/** How one plugin is to be used. */
export type { UseOptions } from './instance.js';

/** Starts plugins in the order of what they need, and stops them in reverse. */
export class Kernel {
  #entries: readonly Entry[] = [];
  readonly #shared: Shared;
  readonly #options: Required<KernelOptions>;
  readonly #abort = new AbortController();
  readonly #timersBefore = runningTimers();
  /** What runs, in the order of its start. */
  #active: readonly Entry[] = [];
  #starts = 0;
  #state: KernelState = 'idle';
  #stopping: Promise<void> | undefined;
  readonly #leftBehind: string[] = [];
  #lastTurn: Promise<unknown> = Promise.resolve();

  /** @throws KERNEL_CONFIG_INVALID when a duration is none */
  constructor(options: KernelOptions = {}) {
    const { pluginTimeoutMs, drainTimeoutMs } = options;
    const mistakes = wrongDurations({ pluginTimeoutMs, drainTimeoutMs });
    if (mistakes.length > 0) throw new WaggleError('KERNEL_CONFIG_INVALID', { mistakes });
    const logger = blaming(options.logger ?? createLogger(), (error) => this.pluginOf(error));
    this.#options = { pluginTimeoutMs: 10_000, drainTimeoutMs: 10_000, ...options, logger };
    const onFailure = (err: unknown) => logger.error({ err }, 'a refused item was not taken back');
    this.#shared = {
      logger,
      bus: new Bus((err, event) => logger.error({ err, event }, 'an event listener failed')),
      services: new ServiceTable(),
      agents: new Registry<Agent>('agent', onFailure),
      tasks: new Registry<TaskDefinition>('task', onFailure),
      inspect: () => this.inspect(),
    };
  }

  get state(): KernelState {
    return this.#state;
  }

  /** Started, and not being stopped. */
  get isRunning(): boolean {
    return this.#state === 'ready' || this.#state === 'degraded';
  }

  get bus(): EventBus {
    return this.#shared.bus;
  }

  /** The service behind a token. @throws KERNEL_SERVICE_MISSING */
  get<T>(token: Token<T>): T {
    return this.#shared.services.get(token);
  }

  /** Adds a plugin before the start. @throws KERNEL_STATE, KERNEL_PLUGIN_INVALID, KERNEL_PLUGIN_DUPLICATE */
  use<T extends Plugin>(plugin: T, options: UseOptions<T> = {}): this {
    this.#expect('add a plugin', 'idle');
    const entry = createEntry(plugin, options);
    if (this.#entries.some(({ id }) => id === entry.id))
      throw new WaggleError('KERNEL_PLUGIN_DUPLICATE', { plugin: entry.id });
    this.#entries = [...this.#entries, entry];
    return this;
  }

  /**
   * Checks every config and the dependency graph, and starts nothing. Returns the ids in start order.
   * @throws KERNEL_CONFIG_INVALID with all mistakes, KERNEL_SERVICE_CONFLICT, KERNEL_DEPENDENCY_MISSING, KERNEL_DEPENDENCY_CYCLE
   */
  async check(): Promise<readonly string[]> {
    return (await this.#checked()).map((entry) => entry.id);
  }

  /**
   * Starts everything, or undoes everything and rejects with the first failure.
   * @throws what `check` throws; KERNEL_PLUGIN_FAILED, KERNEL_PLUGIN_TIMEOUT, KERNEL_SERVICE_PROMISED; KERNEL_START_ABORTED after a `stop`
   */
  async start(): Promise<void> {
    await this.#begin('start', () => this.#start());
  }

  /**
   * Sets everything up, calls nobody ready, and undoes it all again: what there would be, and what would fail.
   * @throws what `check` throws; KERNEL_STOP_FAILED; KERNEL_START_ABORTED after a `stop`
   */
  rehearse(): Promise<KernelReport> {
    return this.#begin('rehearse', () => this.#rehearse());
  }

  /** Drains, then stops plugins in the reverse of their start order, all of it bounded in time. Safe to call again. @throws KERNEL_STOP_FAILED */
  stop(): Promise<void> {
    // At once: whatever is being started or loaded gives up, and then it is the stop's turn.
    this.#abort.abort();
    this.#stopping ??= this.#inTurn(() => this.#stop());
    return this.#stopping;
  }

  /**
   * Adds a plugin to those that run, in place of one of its id that does not; then whatever waited for it comes back. A
   * failure undoes it and leaves everything as it was.
   * @throws KERNEL_STATE, KERNEL_PLUGIN_DUPLICATE; what `use`, `check` and `start` throw of one plugin
   */
  async load<T extends Plugin>(plugin: T, options: UseOptions<T> = {}): Promise<void> {
    const entry = createEntry(plugin, options);
    await this.#change('load a plugin', () => this.#load(entry));
  }

  /**
   * Puts a new version in the place of a plugin, and restarts what depends on it. Everything is checked first; a version
   * that fails later is undone, and the old one started again.
   * @throws what `load` throws
   */
  async reload<T extends Plugin>(plugin: T, options: UseOptions<T> = {}): Promise<void> {
    const entry = createEntry(plugin, options);
    await this.#change('reload a plugin', () => this.#reload(entry));
  }

  /**
   * Stops one plugin, after which it is no longer known, and, before it, everything that depends on it, which comes back
   * when a `load` brings what it needs.
   * @throws KERNEL_STATE, KERNEL_PLUGIN_UNKNOWN, KERNEL_STOP_FAILED
   */
  async unload(id: string): Promise<void> {
    await this.#change('unload a plugin', async () => {
      const known = this.#entries.filter((each) => each.goal === 'wait' || this.#active.includes(each));
      const entry = known.find((each) => each.id === id);
      if (!entry) {
        const ids = known.map((each) => each.id);
        throw new WaggleError('KERNEL_PLUGIN_UNKNOWN', { plugin: id, known: ids });
      }
      entry.goal = 'gone';
      await this.#takeDown(entry);
    });
  }

  inspect(): KernelReport {
    return { state: this.#state, plugins: this.#entries.filter(isKnown).map(reportOf) };
  }

  /** The plugin in whose code an error arose, as far as its stack and those of its causes tell. */
  pluginOf(error: unknown): string | undefined {
    const seen = new Set<Error>();
    for (let at = error; at instanceof Error && !seen.has(at); at = at.cause) {
      seen.add(at);
      const stack = String(at.stack);
      // The one nearest to the throw: the others only called it.
      const [culprit] = this.#entries
        .flatMap(({ id, code }) => code.map((place) => ({ id, depth: stack.indexOf(place) })))
        .filter(({ depth }) => depth !== -1)
        .sort((a, b) => a.depth - b.depth);
      if (culprit) return culprit.id;
    }
    return undefined;
  }

  /** What did not end when its plugin stopped, since the start: plugins, with labels or why. */
  get leftBehind(): readonly string[] {
    return this.#leftBehind;
  }

  /** The plugins that opened handles of this kind when they started, as `process.getActiveResourcesInfo` names it. */
  openersOf(kind: string): readonly string[] {
    return this.#entries.filter(({ opened }) => (opened.get(kind) ?? 0) > 0).map(({ id }) => id);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #checked(): Promise<readonly Entry[]> {
    const mistakes: string[] = [];
    let valid = true;
    for (const entry of this.#entries) {
      const found = await checkConfig(entry);
      if (!found) continue;
      mistakes.push(...found);
      valid = false;
    }
    if (valid) return orderPlugins(this.#entries);
    try {
      orderPlugins(this.#entries);
    } catch (error) {
      mistakes.push(messageOf(error));
    }
    throw new WaggleError('KERNEL_CONFIG_INVALID', { mistakes });
  }

  async #start(): Promise<void> {
    const ordered = await this.#checked();
    for (const entry of ordered) await this.#attempt(entry, () => this.#setup(entry), isOptional);
    for (const entry of ordered)
      if (entry.state === 'active') await this.#attempt(entry, () => this.#ready(entry), isOptional);
    this.#throwIfAborted();
    this.#enter(this.#runningState());
  }

  async #rehearse(): Promise<KernelReport> {
    for (const entry of await this.#checked()) await this.#attempt(entry, () => this.#setup(entry), isAny);
    const report = this.inspect();
    await this.#stopEntries(this.#active);
    this.#enter('stopped');
    return report;
  }

  async #load(entry: Entry): Promise<void> {
    if (this.#active.some(({ id }) => id === entry.id))
      throw new WaggleError('KERNEL_PLUGIN_DUPLICATE', { plugin: entry.id });
    await this.#checkJoining(entry, this.#active);
    await this.#join(entry);
  }

  async #reload(entry: Entry): Promise<void> {
    const old = this.#entries.find(({ id }) => id === entry.id);
    const affected = dependentsOf(this.#active, entry.id);
    const others = this.#active.filter((each) => !affected.includes(each));
    await this.#checkJoining(entry, others);
    if (!old || affected.length === 0) return this.#join(entry);
    // What could not be undone was logged there.
    await this.#takeDown(old).catch(() => {});
    try {
      await this.#join(entry);
    } catch (error) {
      if (!WaggleError.is(error, 'KERNEL_START_ABORTED'))
        await this.#join(renew(old)).catch((err: unknown) =>
          this.#options.logger.error({ err, plugin: old.id }, 'the old version did not start again'),
        );
      throw error;
    }
  }

  /** Whether a plugin can join those that run. */
  async #checkJoining(entry: Entry, running: readonly Entry[]): Promise<void> {
    const mistakes = await checkConfig(entry);
    if (mistakes) throw new WaggleError('KERNEL_CONFIG_INVALID', { mistakes });
    const others = this.#entries.filter(({ id }) => id !== entry.id);
    const waiting = others.filter(
      (each) => each.goal === 'wait' || (this.#active.includes(each) && !running.includes(each)),
    );
    expectFit(entry, running, waiting);
    this.#throwIfAborted();
  }

  async #join(entry: Entry): Promise<void> {
    const replaced = this.#entries.find(({ id }) => id === entry.id);
    this.#put(entry);
    const returned: Entry[] = [];
    try {
      await this.#setup(entry);
      await this.#setupWaiting(returned);
      await this.#ready(entry);
    } catch (error) {
      if (!WaggleError.is(error, 'KERNEL_START_ABORTED')) this.#move(entry, 'failed', error);
      // What could not be undone was logged there.
      await this.#takeDown(entry).catch(() => {});
      if (replaced) this.#put(replaced);
      else this.#entries = this.#entries.filter((each) => each !== entry);
      throw error;
    }
    for (const each of returned)
      if (each.state === 'active') await this.#attempt(each, () => this.#ready(each), isAny);
  }

  /** Sets up again what waits, as far as all that it needs is there now, in the order of its last start. */
  async #setupWaiting(returned: Entry[]): Promise<void> {
    const { services } = this.#shared;
    for (;;) {
      const [next] = this.#entries
        .filter(({ goal, requires }) => goal === 'wait' && requires.every((token) => services.has(token)))
        .sort((a, b) => a.rank - b.rank);
      if (!next) return;
      const entry = renew(next);
      this.#put(entry);
      returned.push(entry);
      await this.#attempt(entry, () => this.#setup(entry), isAny);
    }
  }

  /** Lets a plugin fail where that is allowed, to it and to those that stand on it; these wait for its return. */
  async #attempt(entry: Entry, step: () => Promise<void>, mayFail: (entry: Entry) => boolean): Promise<void> {
    this.#throwIfAborted();
    try {
      await step();
    } catch (error) {
      if (WaggleError.is(error, 'KERNEL_START_ABORTED')) throw error;
      this.#move(entry, 'failed', error);
      if (!dependentsOf(this.#active, entry.id).every(mayFail)) throw error;
      const level = entry.optional ? 'warn' : 'error';
      const kind = entry.optional ? 'an optional plugin' : 'a plugin';
      this.#options.logger[level]({ err: error, plugin: entry.id }, `${kind} failed`);
      // What could not be undone was logged there.
      await this.#takeDown(entry).catch(() => {});
    }
  }

  async #setup(entry: Entry): Promise<void> {
    const { services } = this.#shared;
    this.#active = [...this.#active, entry];
    entry.rank = this.#starts++;
    this.#move(entry, 'starting');
    const startedAt = performance.now();
    const missing = entry.requires.filter((token) => !services.has(token));
    if (missing.length > 0) {
      entry.goal = 'wait';
      throw new WaggleError('KERNEL_DEPENDENCY_MISSING', {
        missing: missing.map((token) => `"${entry.id}" requires ${tokenId(token)}, whose plugin failed`),
      });
    }
    const wanted = Object.entries({ ...entry.plugin.optional, ...entry.plugin.requires } as Record<
      string,
      symbol
    >);
    const deps = Object.fromEntries(
      wanted.filter(([, token]) => services.has(token)).map(([key, token]) => [key, services.get(token)]),
    );
    const context = createContext(
      entry.id,
      entry.config,
      entry.provides,
      entry.scope,
      entry.hooks,
      this.#shared,
    );
    const timersBefore = runningTimers();
    try {
      await this.#run(entry, 'setup', () => entry.plugin.setup(context, deps));
      const broken = entry.provides.find((token) => !services.has(token));
      if (broken)
        throw new WaggleError('KERNEL_SERVICE_PROMISED', { service: tokenId(broken), plugin: entry.id });
      this.#move(entry, 'active');
    } finally {
      entry.setupMs = performance.now() - startedAt;
      entry.timers = runningTimers() - timersBefore;
    }
  }

  async #ready(entry: Entry): Promise<void> {
    for (const hook of entry.hooks.ready) await this.#run(entry, 'ready', hook);
  }

  async #run(entry: Entry, phase: string, run: () => void | Promise<void>): Promise<void> {
    const { pluginTimeoutMs: timeoutMs } = this.#options;
    const before = openHandles();
    try {
      await runStep({ plugin: entry.id, phase, timeoutMs, signal: this.#abort.signal, run });
    } finally {
      // What `listen` and the like begin is there a tick later.
      await nextTurn();
      for (const [kind, count] of moreThan(before))
        entry.opened.set(kind, (entry.opened.get(kind) ?? 0) + count);
    }
  }

  async #stop(): Promise<void> {
    if (this.#state === 'idle') this.#enter('stopped');
    if (!this.isRunning) return;
    this.#enter('draining');
    await drain(this.#active, this.#options, this.#options.logger);
    this.#enter('stopping');
    try {
      await this.#stopEntries(this.#active);
    } finally {
      this.#warnOfTimers();
      this.#enter('stopped');
    }
  }

  /** A timer that outlives its plugin runs code that is no longer there; only setup tells whose it is. */
  #warnOfTimers(): void {
    if (runningTimers() <= this.#timersBefore) return;
    for (const { id, timers } of this.#entries) {
      if (timers <= 0) continue;
      this.#options.logger.warn({ plugin: id, timers }, 'a plugin left timers running; use ctx.effect');
      this.#leftBehind.push(`${id}: ${timers} timer(s)`);
    }
  }

  /** Stops a plugin after everything that stands on it; that waits for its return. */
  async #takeDown(entry: Entry): Promise<void> {
    const affected = dependentsOf(this.#active, entry.id);
    for (const each of affected) if (each !== entry) each.goal = 'wait';
    await this.#stopEntries(affected);
  }

  async #stopEntries(entries: readonly Entry[]): Promise<void> {
    this.#active = this.#active.filter((entry) => !entries.includes(entry));
    const { pluginTimeoutMs, logger } = this.#options;
    const failures: string[] = [];
    for (const entry of [...entries].reverse()) {
      if (entry.state !== 'failed') this.#move(entry, 'stopping');
      const timersBefore = runningTimers();
      const handlesBefore = openHandles();
      const { errors, left } = await entry.scope.close(pluginTimeoutMs);
      entry.timers -= timersBefore - runningTimers();
      await nextTurn();
      for (const [kind, count] of moreThan(openHandles(), handlesBefore))
        entry.opened.set(kind, (entry.opened.get(kind) ?? 0) - count);
      const plugin = entry.id;
      const all = [...errors];
      for (const err of errors) logger.error({ err, plugin }, 'an undo failed');
      this.#leftBehind.push(...errors.map((error) => `${plugin}: ${messageOf(error)}`));
      if (left.length > 0) {
        const details = { plugin, phase: 'stop', timeoutMs: pluginTimeoutMs, left };
        const err = new WaggleError('KERNEL_PLUGIN_TIMEOUT', details);
        logger.error({ err, plugin }, 'left something behind');
        all.push(err);
        this.#leftBehind.push(...left.map((label) => `${plugin}: ${label}`));
      }
      failures.push(...all.map((error) => `${plugin}: ${error.message}`));
      if (all.length > 0) this.#move(entry, 'failed', entry.error ?? all[0]);
      else if (entry.state !== 'failed') this.#move(entry, 'stopped');
    }
    if (failures.length > 0) throw new WaggleError('KERNEL_STOP_FAILED', { failures });
  }

  /** Runs the one thing that an idle kernel is for, and undoes everything when it fails. */
  async #begin<T>(action: string, step: () => Promise<T>): Promise<T> {
    this.#expect(action, 'idle');
    const result = this.#inTurn(async () => {
      try {
        return await step();
      } catch (error) {
        await this.#stopEntries(this.#active).catch((err: unknown) =>
          this.#options.logger.error({ err }, 'undoing the failed start was not complete'),
        );
        this.#enter(WaggleError.is(error, 'KERNEL_START_ABORTED') ? 'stopped' : 'failed');
        throw error;
      }
    });
    this.#enter('starting');
    return result;
  }

  /** Changes what runs, and says what that makes of the kernel. */
  #change(action: string, step: () => Promise<void>): Promise<void> {
    const expect = () => this.#expect(action, 'ready', 'degraded');
    expect();
    return this.#inTurn(async () => {
      expect(); // A stop may have come first.
      try {
        await step();
      } finally {
        if (this.#runningState() !== this.#state) this.#enter(this.#runningState());
      }
    });
  }

  /** One after the other: what is being unloaded is gone before something that it uses begins to stop. */
  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(step);
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }

  #runningState(): KernelState {
    return this.#entries.some(({ state, goal }) => state !== 'active' && goal !== 'gone')
      ? 'degraded'
      : 'ready';
  }

  /** Puts an entry in the place of the one with its id, or at the end. */
  #put(entry: Entry): void {
    const isKnown = this.#entries.some(({ id }) => id === entry.id);
    this.#entries = isKnown
      ? this.#entries.map((each) => (each.id === entry.id ? entry : each))
      : [...this.#entries, entry];
  }

  #throwIfAborted(): void {
    if (this.#abort.signal.aborted) throw new WaggleError('KERNEL_START_ABORTED', {});
  }

  #move(entry: Entry, to: PluginState, error?: unknown): void {
    const from = entry.state;
    entry.state = to;
    if (error !== undefined) entry.error = error;
    const event = { plugin: entry.id, from, to };
    this.#shared.bus.emit('plugin:state', error === undefined ? event : { ...event, error });
  }

  #enter(to: KernelState): void {
    const from = this.#state;
    this.#state = to;
    this.#shared.bus.emit('kernel:state', { from, to });
  }

  #expect(action: string, ...states: readonly KernelState[]): void {
    if (!states.includes(this.#state)) throw new WaggleError('KERNEL_STATE', { action, state: this.#state });
  }
}

const isOptional = (entry: Entry): boolean => entry.optional;
/** Not unloaded, or still under way to it. */
const isKnown = ({ goal, state }: Entry): boolean =>
  goal !== 'gone' || state === 'stopping' || state === 'active';
const isAny = (): boolean => true;
