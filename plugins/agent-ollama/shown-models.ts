import { setImmediate as nextTurn } from 'node:timers/promises';
import { hasAnswered, Watchdog } from '#sdk/upstream';
import { fullName } from './context-sizes.js';
import type { Facts, Installed } from './models.js';

/** How long the facts of a model that the server has not stated stay unknown. */
const unknownTtlMs = 300_000;
const modelLimit = 500;

interface Entry {
  readonly digest: unknown;
  readonly facts: Facts;
  readonly at: number;
}

/**
 * Facts about models from `/api/show`, requested in the background, one at a time, and cached by digest: older servers list
 * none, and some lists state `completion` for a model that only makes embeddings.
 */
export class ShownModels {
  readonly #show: (name: string, signal: AbortSignal) => Promise<Facts>;
  readonly #timeoutMs: number;
  readonly #closing = new AbortController();
  readonly #entries = new Map<string, Entry>();
  #isRefreshing = false;

  constructor(show: (name: string, signal: AbortSignal) => Promise<Facts>, timeoutMs: number) {
    this.#show = show;
    this.#timeoutMs = timeoutMs;
  }

  /** The cached facts about a model; none where they are unknown. */
  factsOf({ name, digest }: Installed): Facts {
    const entry = this.#entries.get(name);
    return entry?.digest === digest ? (entry?.facts ?? {}) : {};
  }

  /** The cached context window of a model that is requested by this name; undefined where it is unknown. */
  contextLengthOf(name: string): number | undefined {
    return this.#entries.get(fullName(name))?.facts.contextLength;
  }

  /** Requests the facts about a model, if it was not described lately. */
  async ask(name: string, signal: AbortSignal): Promise<void> {
    const entry = this.#entries.get(fullName(name));
    if (entry && performance.now() - entry.at < unknownTtlMs) return;
    // Failures are kept as well, so that not each request asks.
    let facts: Facts = {};
    try {
      facts = await this.#show(name, signal);
    } finally {
      if (this.#entries.size < modelLimit && !signal.aborted)
        this.#entries.set(fullName(name), { digest: undefined, facts, at: performance.now() });
    }
  }

  /** Requests missing facts about the installed models in the background; forgets others. */
  refresh(models: readonly Installed[]): void {
    const names = new Set(models.map(({ name }) => name));
    for (const name of this.#entries.keys()) if (!names.has(name)) this.#entries.delete(name);
    const missing = models.slice(0, modelLimit).filter((each) => this.#isMissing(each));
    if (missing.length > 0 && !this.#isRefreshing) void this.#refresh(missing);
  }

  /** Stops a background refresh. */
  close(): void {
    this.#closing.abort();
  }

  #isMissing({ name, digest }: Installed): boolean {
    const entry = this.#entries.get(name);
    if (!entry || entry.digest !== digest) return true;
    return Object.keys(entry.facts).length === 0 && performance.now() - entry.at >= unknownTtlMs;
  }

  async #refresh(missing: readonly Installed[]): Promise<void> {
    this.#isRefreshing = true;
    // The reply under way gets an idle connection first.
    await nextTurn();
    for (const model of missing) if (this.#closing.signal.aborted || !(await this.#request(model))) break;
    this.#isRefreshing = false;
  }

  /** Whether the server is there. */
  async #request({ name, digest }: Installed): Promise<boolean> {
    const watchdog = new Watchdog(this.#closing.signal);
    let facts: Facts = {};
    try {
      watchdog.watch(this.#timeoutMs, 'until it has described a model');
      facts = await this.#show(name, watchdog.signal);
    } catch (error) {
      // Nothing depends on it: a server without facts is asked again later, one that is away with the next list.
      const isSilent = watchdog.expired !== undefined || hasAnswered(error);
      if (this.#closing.signal.aborted || !isSilent) return false;
    } finally {
      watchdog.stop();
    }
    this.#entries.set(name, { digest, facts, at: performance.now() });
    return true;
  }
}
