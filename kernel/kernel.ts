import { setMaxListeners } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { Bus, type EventBus } from './bus.js';
import { check, type Origin } from './config/schema.js';
import { createContext, type Hooks, type Shared } from './context.js';
import type { Agent } from './contracts/agent.js';
import type { TaskDefinition } from './contracts/task.js';
import { messageOf, WaggleError } from './errors.js';
import { blaming, createLogger, type Logger } from './logger.js';
import { dependentsOf, orderPlugins } from './order.js';
import type { ConfigInput, KernelReport, KernelState, Plugin, PluginState } from './plugin.js';
import { Registry } from './registry.js';
import { EffectScope } from './scope.js';
import { ServiceTable, type Token, tokenId } from './services.js';
import { runningTimers } from './timers.js';

/** What a kernel may be told; all of it has defaults. */
export interface KernelOptions {
  readonly logger?: Logger;
  /** How long one plugin may take for each of setup, ready and stop. Default 10 s. */
  readonly pluginTimeoutMs?: number;
  /** How long running work may go on after `stop`. Default 10 s. */
  readonly drainTimeoutMs?: number;
}

/** How one plugin is to be used. */
export interface UseOptions<T extends Plugin> {
  /** The instance's id; the plugin's name when absent. */
  readonly id?: string;
  readonly config?: ConfigInput<T>;
  /** May fail without stopping the others; the kernel is `degraded` then. */
  readonly optional?: boolean;
  /** Words mistakes in `config` by the file they were made in. */
  readonly origin?: Origin;
  /** URL of the module, so that an error that arose in it can be traced to the plugin. */
  readonly module?: string;
}

interface Entry {
  readonly id: string;
  readonly plugin: Plugin;
  readonly input: unknown;
  readonly optional: boolean;
  readonly origin: Origin;
  /** How stack traces name its code: by URL, and by path where it is a CommonJS module. */
  readonly code: readonly string[];
  readonly requires: readonly symbol[];
  readonly wants: readonly symbol[];
  readonly provides: readonly symbol[];
  readonly scope: EffectScope;
  readonly hooks: Hooks;
  config: unknown;
  state: PluginState;
  setupMs: number;
  /** Timers that its setup left running, less those that its stop ended. */
  timers: number;
  error?: unknown;
}

/** Starts plugins in the order of what they need, and stops them in reverse. */
export class Kernel {
  readonly #entries: Entry[] = [];
  readonly #shared: Shared;
  readonly #options: Required<KernelOptions>;
  readonly #abort = new AbortController();
  readonly #timersBefore = runningTimers();
  #active: readonly Entry[] = [];
  #state: KernelState = 'idle';
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #undone: Promise<void> = Promise.resolve();

  constructor(options: KernelOptions = {}) {
    const logger = blaming(options.logger ?? createLogger(), (error) => this.pluginOf(error));
    this.#options = { pluginTimeoutMs: 10_000, drainTimeoutMs: 10_000, ...options, logger };
    this.#shared = {
      logger,
      bus: new Bus((err, event) => logger.error({ err, event }, 'an event listener failed')),
      services: new ServiceTable(),
      agents: new Registry<Agent>('agent'),
      tasks: new Registry<TaskDefinition>('task'),
      inspect: () => this.inspect(),
    };
  }

  get state(): KernelState {
    return this.#state;
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
    const id = options.id ?? plugin?.name ?? 'unnamed';
    const why = whyInvalid(plugin);
    if (why) throw new WaggleError('KERNEL_PLUGIN_INVALID', { plugin: id, why });
    if (this.#entries.some((entry) => entry.id === id))
      throw new WaggleError('KERNEL_PLUGIN_DUPLICATE', { plugin: id });
    this.#entries.push({
      id,
      plugin,
      input: options.config,
      optional: options.optional ?? false,
      origin: options.origin ?? { prefix: () => `${id}.`, variable: () => undefined },
      code: codeOf(options.module),
      requires: Object.values(plugin.requires ?? {}),
      wants: Object.values(plugin.optional ?? {}),
      provides: plugin.provides ?? [],
      scope: new EffectScope(id),
      hooks: { ready: new Set(), drain: new Set() },
      config: undefined,
      state: 'pending',
      setupMs: 0,
      timers: 0,
    });
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
    this.#expect('start', 'idle');
    // Set before anybody hears of it: a listener may stop the kernel right away.
    this.#starting = this.#start();
    this.#enter('starting');
    await this.#starting;
  }

  /** Drains, then stops plugins in the reverse of their start order, all of it bounded in time. Safe to call again. @throws KERNEL_STOP_FAILED */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Stops one plugin and, before it, everything that depends on it. @throws KERNEL_STATE, KERNEL_PLUGIN_UNKNOWN, KERNEL_STOP_FAILED */
  async unload(id: string): Promise<void> {
    this.#expect('unload a plugin', 'ready', 'degraded');
    const known = this.#active.map((entry) => entry.id);
    if (!known.includes(id)) throw new WaggleError('KERNEL_PLUGIN_UNKNOWN', { plugin: id, known });
    await this.#stopEntries(dependentsOf(this.#active, id));
  }

  inspect(): KernelReport {
    const plugins = this.#entries.map(({ id, plugin, state, optional, setupMs, provides, scope, error }) => ({
      id,
      name: plugin.name,
      state,
      optional,
      setupMs,
      provides: provides.map(tokenId),
      effects: scope.labels(),
      ...(error === undefined ? {} : { error: messageOf(error) }),
    }));
    return { state: this.#state, plugins };
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

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #checked(): Promise<readonly Entry[]> {
    const mistakes: string[] = [];
    let valid = true;
    for (const entry of this.#entries) {
      entry.config = entry.input;
      if (!entry.plugin.config) continue;
      const checked = await check(entry.plugin.config, entry.input ?? {}, entry.origin);
      // The list may be empty, where whoever read the config has said it already.
      if (checked.mistakes) {
        mistakes.push(...checked.mistakes);
        valid = false;
      } else entry.config = checked.value;
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
    try {
      const ordered = await this.#checked();
      for (const entry of ordered) await this.#attempt(entry, () => this.#setup(entry));
      for (const entry of ordered)
        if (entry.state === 'active')
          await this.#attempt(entry, async () => {
            for (const hook of entry.hooks.ready) await this.#guard(entry, 'ready', hook);
          });
      this.#throwIfAborted();
      this.#enter(this.#active.length === this.#entries.length ? 'ready' : 'degraded');
    } catch (error) {
      await this.#stopEntries(this.#active).catch((err: unknown) =>
        this.#options.logger.error({ err }, 'undoing the failed start was not complete'),
      );
      this.#enter(WaggleError.is(error, 'KERNEL_START_ABORTED') ? 'stopped' : 'failed');
      throw error;
    }
  }

  /** Lets an optional plugin fail, and with it the optional plugins that stand on it. */
  async #attempt(entry: Entry, step: () => Promise<void>): Promise<void> {
    this.#throwIfAborted();
    try {
      await step();
    } catch (error) {
      if (WaggleError.is(error, 'KERNEL_START_ABORTED')) throw error;
      this.#move(entry, 'failed', error);
      const affected = dependentsOf(this.#active, entry.id);
      if (affected.some((each) => !each.optional)) throw error;
      this.#options.logger.warn({ err: error, plugin: entry.id }, 'an optional plugin failed');
      // What could not be undone was logged there.
      await this.#stopEntries(affected).catch(() => {});
    }
  }

  async #setup(entry: Entry): Promise<void> {
    const { services } = this.#shared;
    this.#active = [...this.#active, entry];
    this.#move(entry, 'starting');
    const startedAt = performance.now();
    const missing = entry.requires.filter((token) => !services.has(token));
    if (missing.length > 0)
      throw new WaggleError('KERNEL_DEPENDENCY_MISSING', {
        missing: missing.map((token) => `"${entry.id}" requires ${tokenId(token)}, whose plugin failed`),
      });
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
      await this.#guard(entry, 'setup', () => entry.plugin.setup(context, deps));
      const broken = entry.provides.find((token) => !services.has(token));
      if (broken)
        throw new WaggleError('KERNEL_SERVICE_PROMISED', { service: tokenId(broken), plugin: entry.id });
      this.#move(entry, 'active');
    } finally {
      entry.setupMs = performance.now() - startedAt;
      entry.timers = runningTimers() - timersBefore;
    }
  }

  async #stop(): Promise<void> {
    this.#abort.abort();
    // Whoever called start() hears of its failure there.
    await this.#starting?.catch(() => {});
    if (this.#state === 'idle') this.#enter('stopped');
    if (this.#state !== 'ready' && this.#state !== 'degraded') return;
    this.#enter('draining');
    await this.#drain();
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
    for (const { id, timers } of this.#entries)
      if (timers > 0)
        this.#options.logger.warn({ plugin: id, timers }, 'a plugin left timers running; use ctx.effect');
  }

  /** Gives every plugin until the deadline to finish its work, and one plugin's time on top to cancel the rest. */
  async #drain(): Promise<void> {
    const { drainTimeoutMs, pluginTimeoutMs, logger } = this.#options;
    const deadline = new AbortController();
    setMaxListeners(0, deadline.signal); // Any number of plugins may wait for it.
    const pending = new Set(
      this.#active.flatMap(({ id, hooks }) => [...hooks.drain].map((hook) => ({ plugin: id, hook }))),
    );
    const drains = [...pending].map(async (each) => {
      const { plugin, hook } = each;
      try {
        await hook(deadline.signal, drainTimeoutMs);
      } catch (err) {
        logger.warn({ err, plugin }, 'its drain hook failed');
      }
      pending.delete(each);
    });
    const timers: NodeJS.Timeout[] = [];
    const over = new Promise<void>((resolve) => {
      timers.push(setTimeout(() => deadline.abort(), drainTimeoutMs));
      timers.push(setTimeout(resolve, drainTimeoutMs + pluginTimeoutMs));
    });
    await Promise.race([Promise.all(drains), over]);
    for (const timer of timers) clearTimeout(timer);
    for (const { plugin } of pending) logger.warn({ plugin }, 'its drain hook did not end in time');
  }

  /** One call after the other: what is being unloaded is gone before something that it uses begins to stop. */
  #stopEntries(entries: readonly Entry[]): Promise<void> {
    this.#active = this.#active.filter((entry) => !entries.includes(entry));
    const undone = this.#undone.then(() => this.#undo(entries));
    this.#undone = undone.catch(() => {});
    return undone;
  }

  async #undo(entries: readonly Entry[]): Promise<void> {
    const { pluginTimeoutMs, logger } = this.#options;
    const failures: string[] = [];
    for (const entry of [...entries].reverse()) {
      if (entry.state !== 'failed') this.#move(entry, 'stopping');
      const timersBefore = runningTimers();
      const { errors, left } = await entry.scope.close(pluginTimeoutMs);
      entry.timers -= timersBefore - runningTimers();
      const plugin = entry.id;
      const all = [...errors];
      for (const err of errors) logger.error({ err, plugin }, 'an undo failed');
      if (left.length > 0) {
        const details = { plugin, phase: 'stop', timeoutMs: pluginTimeoutMs, left };
        const err = new WaggleError('KERNEL_PLUGIN_TIMEOUT', details);
        logger.error({ err, plugin }, 'left something behind');
        all.push(err);
      }
      failures.push(...all.map((error) => `${plugin}: ${error.message}`));
      if (all.length > 0) this.#move(entry, 'failed', entry.error ?? all[0]);
      else if (entry.state !== 'failed') this.#move(entry, 'stopped');
    }
    if (failures.length > 0) throw new WaggleError('KERNEL_STOP_FAILED', { failures });
  }

  async #guard(entry: Entry, phase: string, step: () => void | Promise<void>): Promise<void> {
    const { pluginTimeoutMs: timeoutMs } = this.#options;
    const over = new AbortController();
    const bound = new Promise<never>((_resolve, reject) => {
      const timer = setTimeout(
        () => reject(new WaggleError('KERNEL_PLUGIN_TIMEOUT', { plugin: entry.id, phase, timeoutMs })),
        timeoutMs,
      );
      over.signal.addEventListener('abort', () => clearTimeout(timer));
      this.#abort.signal.addEventListener(
        'abort',
        () => reject(new WaggleError('KERNEL_START_ABORTED', {})),
        {
          signal: over.signal,
        },
      );
    });
    const failed = (cause: unknown) => {
      if (WaggleError.is(cause, 'KERNEL_PLUGIN_FAILED')) throw cause;
      const why = messageOf(cause);
      throw new WaggleError('KERNEL_PLUGIN_FAILED', { plugin: entry.id, phase, why }, { cause });
    };
    try {
      await Promise.race([(async () => step())().catch(failed), bound]);
    } finally {
      over.abort();
    }
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

/** A folder is one plugin, a file beside others is one, too. */
function codeOf(module: string | undefined): readonly string[] {
  if (!module) return [];
  const url = module.replace(/\/index\.\w+$/, '/');
  return url.startsWith('file:') ? [url, fileURLToPath(url)] : [url];
}

function whyInvalid(plugin: unknown): string | undefined {
  if (typeof plugin !== 'object' || plugin === null) return 'the default export is not an object';
  const { name, apiVersion, setup, config, requires, optional, provides } = plugin as Partial<
    Record<keyof Plugin, unknown>
  >;
  if (typeof name !== 'string' || name === '') return '"name" is not a text';
  if (typeof setup !== 'function') return '"setup" is not a function';
  if (apiVersion !== 1) return `"apiVersion" is ${String(apiVersion)}; this kernel speaks version 1`;
  if (config !== undefined && !(config as Partial<StandardSchemaV1>)?.['~standard'])
    return '"config" is not a schema, such as one of zod';
  const tokens = [...Object.values(requires ?? {}), ...Object.values(optional ?? {})];
  if (!Array.isArray(provides ?? [])) return '"provides" is not a list';
  if ([...tokens, ...((provides as unknown[]) ?? [])].some((token) => typeof token !== 'symbol'))
    return '"requires", "optional" and "provides" take tokens of createToken';
  return undefined;
}
