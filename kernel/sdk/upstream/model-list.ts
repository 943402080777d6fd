import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ModelDetails } from '../../contracts/agent.js';
import { ExchangeError } from './exchange-error.js';
import { Watchdog } from './watchdog.js';

const ttlMs = 30_000;

/** A model that a server lists: its name, or more. It can chat unless its capabilities say otherwise. */
export type ListedModel = string | ModelDetails;

/** Requests a server's models. */
export type ListModels = (signal: AbortSignal) => Promise<readonly ListedModel[]>;

/** Cache of a server's models, so that replies do not wait for them. */
export class ModelList {
  readonly #list: ListModels;
  readonly #refreshTimeoutMs: number;
  /** The configured model, which counts as one that can chat. */
  readonly #wanted: string;
  readonly #closing = new AbortController();
  #details: readonly ModelDetails[] = [];
  #byName: ReadonlyMap<string, ModelDetails> = new Map();
  #names: readonly string[] = [];
  #at = Number.NEGATIVE_INFINITY;
  #refreshing = false;
  #lateAt = Number.NEGATIVE_INFINITY;

  constructor(list: ListModels, refreshTimeoutMs: number, wanted = '') {
    this.#list = list;
    this.#wanted = wanted;
    this.#refreshTimeoutMs = refreshTimeoutMs;
  }

  /** The cached names of the models that can chat. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** The cached models of which more than the name is known. */
  get details(): readonly ModelDetails[] {
    return this.#details;
  }

  /** The cached facts about a model; undefined where no more than its name is known. */
  find(model: string): ModelDetails | undefined {
    return this.#byName.get(model) ?? this.#byName.get(`${model}:latest`);
  }

  /** The cached model for embeddings: the configured one if it makes them, else the first that does. */
  get embedding(): string | undefined {
    const able = this.#details.filter(({ capabilities }) => capabilities?.includes('embedding'));
    return (able.find(({ name }) => isNamed(name, this.#wanted)) ?? able[0])?.name;
  }

  /** Cached names of the models that can chat. A stale list is refreshed in the background; only an empty cache blocks. */
  async known(signal: AbortSignal): Promise<readonly string[]> {
    return this.cached() ?? this.#first(signal);
  }

  /** Cached names, without a wait; undefined for none. A stale list is refreshed in the background. */
  cached(): readonly string[] | undefined {
    // A stale list without a model is of no use.
    if (this.#names.length === 0 && performance.now() - this.#at >= ttlMs) return undefined;
    this.freshen();
    return this.#names;
  }

  /** Refreshes a stale list in the background. */
  freshen(): void {
    if (performance.now() - this.#at >= ttlMs && !this.#refreshing) void this.#refresh();
  }

  /** Removes a model that the server has reported missing, and marks the list as stale. */
  forget(model: string): void {
    const isLeft = (name: string) => !isNamed(name, model);
    const names = this.#names.filter(isLeft);
    const details = this.#details.filter(({ name }) => isLeft(name));
    if (names.length === this.#names.length && details.length === this.#details.length) return;
    this.#names = names;
    this.#know(details);
    this.#at = Number.NEGATIVE_INFINITY;
  }

  /** Requests the list now and caches it. @throws the failure of the request */
  async ask(signal: AbortSignal): Promise<readonly string[]> {
    const listed = (await this.#list(signal)).map((each) =>
      typeof each === 'string' ? { name: each } : each,
    );
    const chatting = listed.filter((each) => isNamed(each.name, this.#wanted) || canChat(each));
    this.#names = chatting.map(({ name }) => name);
    this.#know(listed.filter(isKnown));
    this.#at = performance.now();
    this.#lateAt = Number.NEGATIVE_INFINITY;
    return this.#names;
  }

  #know(details: readonly ModelDetails[]): void {
    this.#details = details;
    this.#byName = new Map(details.map((each) => [each.name, each]));
  }

  /** Stops a background refresh. */
  close(): void {
    this.#closing.abort();
  }

  /** Blocks on the first list. After a timeout only a later refresh may try again, not each reply. */
  async #first(signal: AbortSignal): Promise<readonly string[]> {
    if (performance.now() - this.#lateAt < ttlMs) {
      this.freshen();
      throw late();
    }
    const watchdog = new Watchdog(signal);
    try {
      watchdog.watch(this.#refreshTimeoutMs, 'until it has listed its models');
      return await this.ask(watchdog.signal);
    } catch (error) {
      if (!watchdog.expired) throw error;
      this.#lateAt = performance.now();
      throw late();
    } finally {
      watchdog.stop();
    }
  }

  async #refresh(): Promise<void> {
    this.#refreshing = true;
    const watchdog = new Watchdog(this.#closing.signal);
    try {
      watchdog.watch(this.#refreshTimeoutMs, 'until it has listed its models');
      // The reply under way gets an idle connection first.
      await nextTurn(undefined, { signal: watchdog.signal });
      await this.ask(watchdog.signal);
    } catch {
      // The old list stays. If the server is down, the chat request itself reports it, and the next one tries this again.
    } finally {
      watchdog.stop();
      this.#refreshing = false;
    }
  }
}

/** Whether a model goes by this name, with or without the default tag of Ollama. */
function isNamed(name: string, wanted: string): boolean {
  return wanted !== '' && (name === wanted || name === `${wanted}:latest`);
}

function canChat({ capabilities }: ModelDetails): boolean {
  return capabilities === undefined || capabilities.includes('completion');
}

/** Whether more than its name is known of a model, unless it is of no use here. */
function isKnown({ capabilities, contextLength }: ModelDetails): boolean {
  return capabilities === undefined ? contextLength !== undefined : capabilities.length > 0;
}

/** The error for a list that was not received in time. */
export function late(): ExchangeError {
  return new ExchangeError('LATE', 'its list of models does not come');
}
