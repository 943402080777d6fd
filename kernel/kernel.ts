import { type Change, changeBetween, inWords, type Update } from './change.js';
import { createContext, type KernelServices } from './context.js';
import type { Agent } from './contracts/agent.js';
import type { EventBus } from './contracts/bus.js';
import type { KernelOptions, OnPhase, UseOptions, Wanted } from './contracts/kernel-options.js';
import type { KernelReport, KernelState, PluginChange, PluginState } from './contracts/report.js';
import type { TaskDefinition } from './contracts/task.js';
import { drain } from './drain.js';
import { wrongDurations } from './duration.js';
import { messageOf, WaggleError } from './errors.js';
import { checkConfig, createInstance, type PluginInstance, renew, reportOf } from './instance.js';
import { Bus } from './kernel-bus.js';
import { silentLogger, withPluginName } from './logger.js';
import { dependentsOf, inOrder, missingOf, orderPlugins, providersOf } from './order.js';
import type { Plugin } from './plugin.js';
import { Registry } from './registry.js';
import { ServiceTable, type Token, tokenId } from './services.js';
import { withTimeout } from './with-timeout.js';

/** Starts plugins in the order of their dependencies, and stops them in reverse. */
export class Kernel {
  #instances: readonly PluginInstance[] = [];
  readonly #shared: KernelServices;
  readonly #options: Required<Omit<KernelOptions, 'onPhase' | 'pluginLogger' | 'services'>>;
  readonly #onPhase: OnPhase;
  readonly #abort = new AbortController();
  /** In the order of their start. */
  #active: readonly PluginInstance[] = [];
  /** Runs whose successors are active, until their agents have given their last answers. */
  readonly #retiring = new Set<PluginInstance>();
  #state: KernelState = 'idle';
  #stopping: Promise<void> | undefined;
  readonly #leftBehind: string[] = [];
  #lastTurn: Promise<unknown> = Promise.resolve();

  /** @throws KERNEL_CONFIG_INVALID for a duration that is not one */
  constructor(options: KernelOptions = {}) {
    const { pluginTimeoutMs, drainTimeoutMs, onPhase = () => undefined, services = [] } = options;
    const { pluginLogger = (logger, plugin) => logger.child({ plugin }) } = options;
    this.#onPhase = onPhase;
    const issues = wrongDurations({ pluginTimeoutMs, drainTimeoutMs });
    if (issues.length > 0) throw new WaggleError('KERNEL_CONFIG_INVALID', { issues });
    const logger = withPluginName(options.logger ?? silentLogger, (error) => this.pluginOf(error));
    this.#options = { pluginTimeoutMs: 10_000, drainTimeoutMs: 10_000, ...options, logger };
    const onFailure = (err: unknown) => logger.error({ err }, 'a refused item was not taken back');
    this.#shared = {
      loggerOf: (plugin) => pluginLogger(logger, plugin),
      bus: new Bus((err, event) => logger.error({ err, event }, 'an event listener failed')),
      services: new ServiceTable(),
      agents: new Registry<Agent>('agent', onFailure),
      tasks: new Registry<TaskDefinition>('task', onFailure),
      inspect: () => this.inspect(),
    };
    for (const service of services) this.#shared.services.provide(...service, 'the host');
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
    return (await this.#checked(this.#instances)).map(({ id }) => id);
  }

  /**
   * Starts everything, or undoes everything and rejects with the first failure.
   * @throws as `check`, and KERNEL_PLUGIN_FAILED, KERNEL_PLUGIN_TIMEOUT, KERNEL_SERVICE_PROMISED; KERNEL_START_ABORTED after a `stop`
   */
  start(): Promise<void> {
    return this.#begin('start', async () => {
      await this.#bringUp(isOptional);
      this.#throwIfAborted();
      this.#enter(this.#runningState());
    });
  }

  /** Sets up every plugin, reports, then tears all of them down. @throws as `start`, and KERNEL_STOP_FAILED */
  dryRun(): Promise<KernelReport> {
    return this.#begin('rehearse', async () => {
      await this.#bringUp(isAny, false);
      const report = this.inspect();
      await this.#stopInstances(this.#active);
      this.#enter('stopped');
      return report;
    });
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
    return this.#join('load a plugin', createInstance(plugin, options), false);
  }

  /**
   * Replaces a plugin by a new version, and restarts its dependents. Everything is checked first; a version that fails
   * later is undone, and the old one started again. @throws as `load`
   */
  async reload<T extends Plugin>(plugin: T, options: UseOptions<T> = {}): Promise<void> {
    return this.#join('reload a plugin', createInstance(plugin, options), true);
  }

  /**
   * Stops and forgets one plugin. Its dependents are stopped before it, and come back when a `load` brings what they need.
   * @throws KERNEL_STATE, KERNEL_PLUGIN_UNKNOWN, KERNEL_STOP_FAILED
   */
  async unload(id: string): Promise<void> {
    await this.#change('unload a plugin', async () => {
      const known = this.#instances.filter(runsOrWaits);
      const instance = known.find((each) => each.id === id);
      if (!instance)
        throw new WaggleError('KERNEL_PLUGIN_UNKNOWN', { plugin: id, known: known.map((each) => each.id) });
      try {
        await this.#takeDown([instance]);
      } finally {
        this.#instances = this.#instances.filter((each) => each !== instance);
      }
    });
  }

  /**
   * Makes these the plugins of the kernel, as one change: a failure undoes all of it. Plugins that are the same as before, or
   * differ in live keys of their config only, go on. A dry run only says what would change. @throws KERNEL_STATE; as `check`
   * and `start`
   */
  async apply(plugins: readonly Wanted[], { dryRun = false } = {}): Promise<readonly PluginChange[]> {
    return this.#change('change the plugins', async () => {
      const wanted = plugins.map(([plugin, options = {}]) => createInstance(plugin, options));
      await this.#checked(wanted);
      const change = changeBetween(this.#instances, this.#active, wanted);
      const words = inWords(change, this.#instances);
      if (!dryRun) await this.#perform(change, () => false);
      return words;
    });
  }

  inspect(): KernelReport {
    return { state: this.#state, plugins: this.#instances.map(reportOf) };
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

  async #checked(instances: readonly PluginInstance[]): Promise<readonly PluginInstance[]> {
    const found: (readonly string[] | undefined)[] = [];
    for (const instance of instances) found.push(await checkConfig(instance));
    // An invalid config may have no issue that was not reported elsewhere.
    if (found.every((each) => each === undefined)) return orderPlugins(instances);
    const issues = found.flatMap((each) => each ?? []);
    try {
      orderPlugins(instances);
    } catch (error) {
      issues.push(messageOf(error));
    }
    throw new WaggleError('KERNEL_CONFIG_INVALID', { issues });
  }

  /** Puts a plugin in, or in the place of the one with its id. Plugins that come back because of it may fail. */
  #join(action: string, instance: PluginInstance, mayReplace: boolean): Promise<void> {
    return this.#change(action, async () => {
      const others = this.#active.filter(({ id }) => id !== instance.id);
      if (!mayReplace && others.length < this.#active.length)
        throw new WaggleError('KERNEL_PLUGIN_DUPLICATE', { plugin: instance.id });
      const issues = await checkConfig(instance);
      if (issues) throw new WaggleError('KERNEL_CONFIG_INVALID', { issues });
      const next = put(instance, this.#instances);
      providersOf(next.filter(runsOrWaits));
      orderPlugins([...others, instance], 'which no running plugin provides');
      const change = changeBetween(this.#instances, this.#active, next, Object.is);
      await this.#perform(change, (each) => each !== instance);
    });
  }

  /** Performs a change, or undoes all of it and rejects with the first failure. */
  async #perform({ next, stopping, replaced, updates }: Change, mayFail: MayFail): Promise<void> {
    const { logger } = this.#options;
    const before = this.#instances;
    const updated: Update[] = [];
    this.#throwIfAborted();
    await this.#takeDown(stopping).catch(() => {}); // Each undo that failed was logged.
    this.#instances = next;
    try {
      await this.#bringUp(mayFail);
      for (const update of updates) {
        const { instance } = update;
        updated.unshift({ ...update, input: instance.input, config: { ...(instance.config as object) } });
        await this.#update(update);
      }
    } catch (error) {
      const fresh = this.#active.filter((each) => !before.includes(each));
      await this.#takeDown(fresh).catch(() => {});
      this.#instances = before.map((each) => (stopping.includes(each) ? renew(each) : each));
      if (WaggleError.is(error, 'KERNEL_START_ABORTED')) throw error;
      for (const update of updated)
        await this.#update(update).catch((err: unknown) => logger.error({ err }, 'a config was not undone'));
      await this.#bringUp(isAny);
      throw error;
    }
    for (const each of replaced) this.#retire(each);
  }

  /** Sets up all that is new, or that waited for requirements which are there now, and then calls it ready. */
  async #bringUp(mayFail: MayFail, isReady = true): Promise<void> {
    const fresh: PluginInstance[] = [];
    for (const each of inOrder(this.#instances.filter(runsOrWaits))) {
      const returns = each.waits && each.requires.every((token) => this.#shared.services.has(token));
      if (each.state !== 'pending' && !returns) continue;
      const instance = returns ? renew(each) : each;
      this.#instances = put(instance, this.#instances);
      fresh.push(instance);
      await this.#attempt(instance, () => this.#setup(instance), mayFail);
    }
    for (const each of isReady ? fresh : [])
      if (each.state === 'active') await this.#attempt(each, () => this.#ready(each), mayFail);
  }

  /** Changes the config that a plugin holds. */
  async #update({ instance, input, config }: Update): Promise<void> {
    const held = instance.config as Record<string, unknown>;
    for (const key of Object.keys(held)) if (!Object.hasOwn(config as object, key)) delete held[key];
    Object.assign(held, config);
    instance.input = input;
    for (const hook of instance.hooks.config) await this.#run(instance, 'config', hook);
  }

  /** Ends a run whose successor is active. */
  #retire(instance: PluginInstance): void {
    this.#active = this.#active.filter((each) => each !== instance);
    this.#retiring.add(instance);
    void instance.scope
      .undo('agent')
      .then(() => this.#stopInstances([instance]))
      .catch(() => {}) // It was logged.
      .finally(() => this.#retiring.delete(instance));
  }

  /** Lets a plugin fail where that is allowed to it and to its dependents; these wait for its return. */
  async #attempt(instance: PluginInstance, step: () => Promise<void>, mayFail: MayFail): Promise<void> {
    this.#throwIfAborted();
    try {
      await step();
    } catch (error) {
      if (WaggleError.is(error, 'KERNEL_START_ABORTED')) throw error;
      this.#move(instance, 'failed', error);
      if (!dependentsOf(this.#active, [instance]).every(mayFail)) throw error;
      const level = instance.optional ? 'warn' : 'error';
      const kind = instance.optional ? 'an optional plugin' : 'a plugin';
      this.#options.logger[level]({ err: error, plugin: instance.id }, `${kind} failed`);
      await this.#takeDown([instance]).catch(() => {});
    }
  }

  async #setup(instance: PluginInstance): Promise<void> {
    const { services } = this.#shared;
    this.#active = [...this.#active, instance];
    this.#move(instance, 'starting');
    const startedAt = performance.now();
    const missing = missingOf(instance, services, 'whose plugin failed');
    if (missing.length > 0) {
      instance.waits = true;
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

  async #run(
    { id: plugin }: PluginInstance,
    phase: 'setup' | 'ready' | 'config',
    run: () => void | Promise<void>,
  ) {
    const { pluginTimeoutMs: timeoutMs } = this.#options;
    const done = this.#onPhase(plugin, phase);
    try {
      await withTimeout({ plugin, phase, timeoutMs, signal: this.#abort.signal }, run);
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
      await this.#stopInstances([...this.#active, ...this.#retiring]);
    } finally {
      this.#enter('stopped');
    }
  }

  /** Stops plugins after their dependents, which wait for their return. @throws KERNEL_STOP_FAILED */
  async #takeDown(plugins: readonly PluginInstance[]): Promise<void> {
    const stopping = dependentsOf(this.#active, plugins);
    for (const each of stopping) if (!plugins.includes(each)) each.waits = true;
    await this.#stopInstances(stopping);
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
        await this.#checked(this.#instances);
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
  #change<T>(action: string, step: () => Promise<T>): Promise<T> {
    this.#expect(action, 'ready', 'degraded');
    return this.#inTurn(async () => {
      this.#expect(action, 'ready', 'degraded'); // A stop may have come first.
      try {
        return await step();
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
    return this.#instances.every(({ state }) => state === 'active') ? 'ready' : 'degraded';
  }

  #throwIfAborted(): void {
    if (this.#abort.signal.aborted) throw new WaggleError('KERNEL_START_ABORTED', {});
  }

  #move(instance: PluginInstance, to: PluginState, error?: unknown): void {
    const from = instance.state;
    instance.state = to;
    if (error !== undefined) instance.error = error;
    // The state of a plugin is that of its successor.
    if (this.#retiring.has(instance)) return;
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

type MayFail = (instance: PluginInstance) => boolean;
const isOptional: MayFail = (instance) => instance.optional;
const isAny: MayFail = () => true;
const runsOrWaits = ({ waits, state }: PluginInstance): boolean => waits || state !== 'failed';

/** Replaces the instance with the same id, or appends. */
function put(instance: PluginInstance, to: readonly PluginInstance[]): readonly PluginInstance[] {
  const isKnown = to.some(({ id }) => id === instance.id);
  return isKnown ? to.map((each) => (each.id === instance.id ? instance : each)) : [...to, instance];
}
