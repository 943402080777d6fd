import type { EventBus } from './bus.js';
import { createContext, type KernelServices } from './context.js';
import type { Agent } from './contracts/agent.js';
import type { KernelReport, KernelState, PluginState } from './contracts/report.js';
import type { TaskDefinition } from './contracts/task.js';
import { drain } from './drain.js';
import { wrongDurations } from './duration.js';
import { messageOf, WaggleError } from './errors.js';
import {
  checkConfig,
  createInstance,
  type PluginInstance,
  renew,
  reportOf,
  type UseOptions,
} from './instance.js';
import { Bus } from './kernel-bus.js';
import { type Logger, silentLogger, withPluginName } from './logger.js';
import { assertCanJoin, dependentsOf, missingOf, orderPlugins } from './order.js';
import type { Plugin } from './plugin.js';
import { Registry } from './registry.js';
import { ServiceTable, type Token, tokenId } from './services.js';
import { withTimeout } from './with-timeout.js';

/** Options of a kernel; all of them have defaults. */
export interface KernelOptions {
  readonly logger?: Logger;
  /** Limit of one plugin for each of setup, ready and stop. Default 10 s. */
  readonly pluginTimeoutMs?: number;
  /** Limit of running work after `stop`. Default 10 s. */
  readonly drainTimeoutMs?: number;
  /** For a host that attributes resources of the process to plugins. */
  readonly onPhase?: OnPhase;
}

/** Called before the code of a plugin runs; the function that it returns is called, and awaited, after that. */
export type OnPhase = (
  plugin: string,
  phase: 'setup' | 'ready' | 'stop',
) => (() => void | Promise<void>) | undefined;

/** Starts plugins in the order of their dependencies, and stops them in reverse. */
export class Kernel {
  #instances: readonly PluginInstance[] = [];
  readonly #shared: KernelServices;
  readonly #options: Required<Omit<KernelOptions, 'onPhase'>>;
  readonly #onPhase: OnPhase;
  readonly #abort = new AbortController();
  /** In the order of their start. */
  #active: readonly PluginInstance[] = [];
  #starts = 0;
  #state: KernelState = 'idle';
  #stopping: Promise<void> | undefined;
  readonly #leftBehind: string[] = [];
  #lastTurn: Promise<unknown> = Promise.resolve();

  /** @throws KERNEL_CONFIG_INVALID for a duration that is not one */
  constructor(options: KernelOptions = {}) {
    const { pluginTimeoutMs, drainTimeoutMs, onPhase = () => undefined } = options;
    this.#onPhase = onPhase;
    const issues = wrongDurations({ pluginTimeoutMs, drainTimeoutMs });
    if (issues.length > 0) throw new WaggleError('KERNEL_CONFIG_INVALID', { issues });
    const logger = withPluginName(options.logger ?? silentLogger, (error) => this.pluginOf(error));
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

  /** @throws KERNEL_SERVICE_MISSING */
  get<T>(token: Token<T>): T {
    return this.#shared.services.get(token);
  }

  /** Adds a plugin before the start. @throws KERNEL_STATE, KERNEL_PLUGIN_INVALID, KERNEL_PLUGIN_DUPLICATE */
  use<T extends Plugin>(plugin: T, options: UseOptions<T> = {}): this {
    this.#expect('add a plugin', 'idle');
    const instance = createInstance(plugin, options);
    if (this.#instances.some(({ id }) => id === instance.id))
      throw new WaggleError('KERNEL_PLUGIN_DUPLICATE', { plugin: instance.id });
    this.#instances = [...this.#instances, instance];
    return this;
  }

  /**
   * Checks every config and the dependency graph, and starts nothing. Returns the ids in start order.
   * @throws KERNEL_CONFIG_INVALID with all issues, KERNEL_SERVICE_CONFLICT, KERNEL_DEPENDENCY_MISSING, KERNEL_DEPENDENCY_CYCLE
   */
  async check(): Promise<readonly string[]> {
    return (await this.#checked()).map((instance) => instance.id);
  }

  /**
   * Starts everything, or undoes everything and rejects with the first failure.
   * @throws as `check`, and KERNEL_PLUGIN_FAILED, KERNEL_PLUGIN_TIMEOUT, KERNEL_SERVICE_PROMISED; KERNEL_START_ABORTED after a `stop`
   */
  async start(): Promise<void> {
    await this.#begin('start', () => this.#start());
  }

  /** Sets up every plugin, reports, then tears all of them down. @throws as `start`, and KERNEL_STOP_FAILED */
  dryRun(): Promise<KernelReport> {
    return this.#begin('rehearse', () => this.#dryRun());
  }

  /** Drains, then stops plugins in reverse start order, all of it bounded in time. Safe to call again. @throws KERNEL_STOP_FAILED */
  stop(): Promise<void> {
    // Before its turn, so that a start or load under way gives up.
    this.#abort.abort();
    this.#stopping ??= this.#inTurn(() => this.#stop());
    return this.#stopping;
  }

  /**
   * Adds a plugin while others run; plugins that waited for it come back. A failure undoes it and leaves everything as it
   * was. @throws KERNEL_STATE, KERNEL_PLUGIN_DUPLICATE; as `use`, `check` and `start` for one plugin
   */
  async load<T extends Plugin>(plugin: T, options: UseOptions<T> = {}): Promise<void> {
    const instance = createInstance(plugin, options);
    await this.#change('load a plugin', async () => {
      if (this.#active.some(({ id }) => id === instance.id))
        throw new WaggleError('KERNEL_PLUGIN_DUPLICATE', { plugin: instance.id });
      await this.#replace(instance);
    });
  }

  /**
   * Replaces a plugin by a new version, and restarts its dependents. Everything is checked first; a version that fails
   * later is undone, and the old one started again. @throws as `load`
   */
  async reload<T extends Plugin>(plugin: T, options: UseOptions<T> = {}): Promise<void> {
    const instance = createInstance(plugin, options);
    await this.#change('reload a plugin', () => this.#replace(instance));
  }

  /**
   * Stops and forgets one plugin. Its dependents are stopped before it, and come back when a `load` brings what they need.
   * @throws KERNEL_STATE, KERNEL_PLUGIN_UNKNOWN, KERNEL_STOP_FAILED
   */
  async unload(id: string): Promise<void> {
    await this.#change('unload a plugin', async () => {
      const known = this.#instances.filter(
        (each) => each.desiredState === 'wait' || this.#active.includes(each),
      );
      const instance = known.find((each) => each.id === id);
      if (!instance) {
        const ids = known.map((each) => each.id);
        throw new WaggleError('KERNEL_PLUGIN_UNKNOWN', { plugin: id, known: ids });
      }
      instance.desiredState = 'gone';
      await this.#takeDown(instance);
    });
  }

  inspect(): KernelReport {
    return { state: this.#state, plugins: this.#instances.filter(isKnown).map(reportOf) };
  }

  /** The plugin in whose code an error arose, by its stack and those of its causes. */
  pluginOf(error: unknown): string | undefined {
    const seen = new Set<Error>();
    for (let at = error; at instanceof Error && !seen.has(at); at = at.cause) {
      seen.add(at);
      const stack = String(at.stack);
      // The place nearest to the throw; the others are its callers.
      const [culprit] = this.#instances
        .flatMap(({ id, code }) => code.map((place) => ({ id, depth: stack.indexOf(place) })))
        .filter(({ depth }) => depth !== -1)
        .sort((a, b) => a.depth - b.depth);
      if (culprit) return culprit.id;
    }
    return undefined;
  }

  /** Effects that did not end with their plugin, since the start: `plugin: label or reason`. */
  get leftBehind(): readonly string[] {
    return this.#leftBehind;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #checked(): Promise<readonly PluginInstance[]> {
    const found: (readonly string[] | undefined)[] = [];
    for (const instance of this.#instances) found.push(await checkConfig(instance));
    // An invalid config may have no issue that was not reported elsewhere.
    if (found.every((each) => each === undefined)) return orderPlugins(this.#instances);
    const issues = found.flatMap((each) => each ?? []);
    try {
      orderPlugins(this.#instances);
    } catch (error) {
      issues.push(messageOf(error));
    }
    throw new WaggleError('KERNEL_CONFIG_INVALID', { issues });
  }

  async #start(): Promise<void> {
    const ordered = await this.#checked();
    for (const instance of ordered) await this.#attempt(instance, () => this.#setup(instance), isOptional);
    for (const instance of ordered)
      if (instance.state === 'active') await this.#attempt(instance, () => this.#ready(instance), isOptional);
    this.#throwIfAborted();
    this.#enter(this.#runningState());
  }

  async #dryRun(): Promise<KernelReport> {
    for (const instance of await this.#checked())
      await this.#attempt(instance, () => this.#setup(instance), isAny);
    const report = this.inspect();
    await this.#stopInstances(this.#active);
    this.#enter('stopped');
    return report;
  }

  async #replace(instance: PluginInstance): Promise<void> {
    const old = this.#instances.find(({ id }) => id === instance.id);
    const affected = dependentsOf(this.#active, instance.id);
    const others = this.#active.filter((each) => !affected.includes(each));
    await this.#checkJoining(instance, others);
    if (!old || affected.length === 0) return this.#join(instance);
    await this.#tryTakeDown(old);
    try {
      await this.#join(instance);
    } catch (error) {
      if (!WaggleError.is(error, 'KERNEL_START_ABORTED'))
        await this.#join(renew(old)).catch((err: unknown) =>
          this.#options.logger.error({ err, plugin: old.id }, 'the old version did not start again'),
        );
      throw error;
    }
  }

  async #checkJoining(instance: PluginInstance, running: readonly PluginInstance[]): Promise<void> {
    const issues = await checkConfig(instance);
    if (issues) throw new WaggleError('KERNEL_CONFIG_INVALID', { issues });
    const others = this.#instances.filter(({ id }) => id !== instance.id);
    const waiting = others.filter(
      (each) => each.desiredState === 'wait' || (this.#active.includes(each) && !running.includes(each)),
    );
    assertCanJoin(instance, running, waiting);
    this.#throwIfAborted();
  }

  async #join(instance: PluginInstance): Promise<void> {
    const replaced = this.#instances.find(({ id }) => id === instance.id);
    this.#put(instance);
    const returned: PluginInstance[] = [];
    try {
      await this.#setup(instance);
      await this.#setupWaiting(returned);
      await this.#ready(instance);
    } catch (error) {
      if (!WaggleError.is(error, 'KERNEL_START_ABORTED')) this.#move(instance, 'failed', error);
      await this.#tryTakeDown(instance);
      if (replaced) this.#put(replaced);
      else this.#instances = this.#instances.filter((each) => each !== instance);
      throw error;
    }
    for (const each of returned)
      if (each.state === 'active') await this.#attempt(each, () => this.#ready(each), isAny);
  }

  /** Sets up the waiting plugins whose requirements are there now, in the order of their last start. */
  async #setupWaiting(returned: PluginInstance[]): Promise<void> {
    const { services } = this.#shared;
    for (;;) {
      const [next] = this.#instances
        .filter(
          ({ desiredState, requires }) =>
            desiredState === 'wait' && requires.every((token) => services.has(token)),
        )
        .sort((a, b) => a.startOrder - b.startOrder);
      if (!next) return;
      const instance = renew(next);
      this.#put(instance);
      returned.push(instance);
      await this.#attempt(instance, () => this.#setup(instance), isAny);
    }
  }

  /** Lets a plugin fail where that is allowed to it and to its dependents; these wait for its return. */
  async #attempt(
    instance: PluginInstance,
    step: () => Promise<void>,
    mayFail: (instance: PluginInstance) => boolean,
  ): Promise<void> {
    this.#throwIfAborted();
    try {
      await step();
    } catch (error) {
      if (WaggleError.is(error, 'KERNEL_START_ABORTED')) throw error;
      this.#move(instance, 'failed', error);
      if (!dependentsOf(this.#active, instance.id).every(mayFail)) throw error;
      const level = instance.optional ? 'warn' : 'error';
      const kind = instance.optional ? 'an optional plugin' : 'a plugin';
      this.#options.logger[level]({ err: error, plugin: instance.id }, `${kind} failed`);
      await this.#tryTakeDown(instance);
    }
  }

  async #setup(instance: PluginInstance): Promise<void> {
    const { services } = this.#shared;
    this.#active = [...this.#active, instance];
    instance.startOrder = this.#starts++;
    this.#move(instance, 'starting');
    const startedAt = performance.now();
    const missing = missingOf(instance, services, 'whose plugin failed');
    if (missing.length > 0) {
      instance.desiredState = 'wait';
      throw new WaggleError('KERNEL_DEPENDENCY_MISSING', { missing });
    }
    const context = createContext(instance, this.#shared);
    const { plugin, provides } = instance;
    const tokens = { ...plugin.optional, ...plugin.requires };
    try {
      await this.#run(instance, 'setup', () =>
        plugin.setup(context, services.viewsOf(tokens, context.effect)),
      );
      const broken = provides.find((token) => !services.has(token));
      if (broken)
        throw new WaggleError('KERNEL_SERVICE_PROMISED', { service: tokenId(broken), plugin: instance.id });
      this.#move(instance, 'active');
    } finally {
      instance.setupMs = performance.now() - startedAt;
    }
  }

  async #ready(instance: PluginInstance): Promise<void> {
    for (const hook of instance.hooks.ready) await this.#run(instance, 'ready', hook);
  }

  async #run({ id: plugin }: PluginInstance, phase: 'setup' | 'ready', run: () => void | Promise<void>) {
    const { pluginTimeoutMs: timeoutMs } = this.#options;
    const done = this.#onPhase(plugin, phase);
    try {
      await withTimeout({ plugin, phase, timeoutMs, signal: this.#abort.signal, run });
    } finally {
      await done?.();
    }
  }

  async #stop(): Promise<void> {
    if (this.#state === 'idle') this.#enter('stopped');
    if (!this.isRunning) return;
    this.#enter('draining');
    await drain(this.#active, this.#options, this.#options.logger);
    this.#enter('stopping');
    try {
      await this.#stopInstances(this.#active);
    } finally {
      this.#enter('stopped');
    }
  }

  /** Stops a plugin after its dependents, which wait for its return. */
  async #takeDown(instance: PluginInstance): Promise<void> {
    const affected = dependentsOf(this.#active, instance.id);
    for (const each of affected) if (each !== instance) each.desiredState = 'wait';
    await this.#stopInstances(affected);
  }

  /** As `#takeDown`, which has logged each undo that failed. */
  async #tryTakeDown(instance: PluginInstance): Promise<void> {
    await this.#takeDown(instance).catch(() => {});
  }

  async #stopInstances(instances: readonly PluginInstance[]): Promise<void> {
    this.#active = this.#active.filter((instance) => !instances.includes(instance));
    const { pluginTimeoutMs, logger } = this.#options;
    const failures: string[] = [];
    for (const instance of [...instances].reverse()) {
      if (instance.state !== 'failed') this.#move(instance, 'stopping');
      const plugin = instance.id;
      const done = this.#onPhase(plugin, 'stop');
      const { errors, left } = await instance.scope.close(pluginTimeoutMs);
      await done?.();
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
      if (all.length > 0) this.#move(instance, 'failed', instance.error ?? all[0]);
      else if (instance.state !== 'failed') this.#move(instance, 'stopped');
    }
    if (failures.length > 0) throw new WaggleError('KERNEL_STOP_FAILED', { failures });
  }

  /** The one step of an idle kernel; undoes everything when it fails. */
  async #begin<T>(action: string, step: () => Promise<T>): Promise<T> {
    this.#expect(action, 'idle');
    const result = this.#inTurn(async () => {
      try {
        return await step();
      } catch (error) {
        await this.#stopInstances(this.#active).catch((err: unknown) =>
          this.#options.logger.error({ err }, 'undoing the failed start was not complete'),
        );
        this.#enter(WaggleError.is(error, 'KERNEL_START_ABORTED') ? 'stopped' : 'failed');
        throw error;
      }
    });
    this.#enter('starting');
    return result;
  }

  /** A step that may change whether all plugins run. */
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

  /** One step after the other: an unloaded plugin is gone before a plugin that it uses begins to stop. */
  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(step);
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }

  #runningState(): KernelState {
    return this.#instances.some(({ state, desiredState }) => state !== 'active' && desiredState !== 'gone')
      ? 'degraded'
      : 'ready';
  }

  /** Replaces the instance with the same id, or appends. */
  #put(instance: PluginInstance): void {
    const isKnown = this.#instances.some(({ id }) => id === instance.id);
    this.#instances = isKnown
      ? this.#instances.map((each) => (each.id === instance.id ? instance : each))
      : [...this.#instances, instance];
  }

  #throwIfAborted(): void {
    if (this.#abort.signal.aborted) throw new WaggleError('KERNEL_START_ABORTED', {});
  }

  #move(instance: PluginInstance, to: PluginState, error?: unknown): void {
    const from = instance.state;
    instance.state = to;
    if (error !== undefined) instance.error = error;
    const event = { plugin: instance.id, from, to };
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

const isOptional = (instance: PluginInstance): boolean => instance.optional;
const isAny = (): boolean => true;
/** Not unloaded, or being unloaded. */
const isKnown = ({ desiredState, state }: PluginInstance): boolean =>
  desiredState !== 'gone' || state === 'stopping' || state === 'active';
