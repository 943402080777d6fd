import { type Logger, WaggleError } from '#kernel';
import type { Engine, LaneName } from '#sdk/tasks';
import type { Line, Taken } from './line.js';

const giveBackMs = { least: 1000, most: 5000 } as const;
/** Time for others to look at the line. */
const yieldMs = 2500;
const longestWaitMs = 60_000;

/** Result for a job that was taken: it `runs`, goes back into the line until `later`, or is `known`, as it runs here already. */
export type Reception = 'runs' | 'later' | 'known';

interface Source {
  readonly line: Line;
  readonly lane: LaneName;
  /** Of the task, where the line is its own. */
  concurrency: () => number;
  fetching: number;
  /** Jobs that were taken one after the other since it was found empty: so many may be taken at once. */
  streak: number;
  running: number;
  /** Jobs taken so far, for those that have waited longest. */
  turns: number;
  /** False once it was found empty. */
  mayHave: boolean;
  wakes: number;
  /** When a job that it has given back is due: others, which may know it, come first then. */
  yieldsFrom: number;
  timer: NodeJS.Timeout | undefined;
}

/** Parts of a fetcher. */
export interface FetcherOptions {
  readonly engine: Engine;
  readonly logger: Logger;
  readonly ageEvery: number;
  receive(line: Line, taken: Taken): Reception;
}

/** Takes jobs of the lines while this node has free places. */
export class Fetcher {
  readonly #options: FetcherOptions;
  readonly #sources = new Map<string, Source>();
  readonly #fetches = new Set<Promise<void>>();
  #isTaking = false;

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  /** Takes jobs of a line, from now on. */
  add(line: Line, lane: LaneName, concurrency: () => number = () => Number.POSITIVE_INFINITY): void {
    this.#sources.set(line.name, {
      ...{ line, lane, concurrency, fetching: 0, streak: 0, running: 0, turns: 0 },
      ...{ mayHave: true, wakes: 0, yieldsFrom: 0, timer: undefined },
    });
    this.pump(lane);
  }

  remove(line: Line): void {
    clearTimeout(this.#sources.get(line.name)?.timer);
    this.#sources.delete(line.name);
  }

  set isTaking(isTaking: boolean) {
    this.#isTaking = isTaking;
    this.pump('main');
    this.pump('worker');
  }

  get lines(): readonly Line[] {
    return [...this.#sources.values()].map(({ line }) => line);
  }

  /** Runs of this line that would start at once. */
  room(line: Line): number {
    const source = this.#sources.get(line.name);
    if (!source) return 0;
    const { lane, concurrency, running } = source;
    return Math.max(0, Math.min(this.#options.engine.freePlaces(lane), concurrency() - running));
  }

  /** A line may have jobs again, or one whose delay is over. */
  wake(lineName: string, isDelayOver = false): void {
    const source = this.#sources.get(lineName);
    if (!source || (isDelayOver && yields(source))) return;
    source.mayHave = true;
    source.wakes++;
    this.pump(source.lane);
  }

  /** More tasks are known now: jobs that were given back may be of these. */
  learned(lineName: string): void {
    const source = this.#sources.get(lineName);
    if (source) source.yieldsFrom = 0;
    this.wake(lineName);
  }

  /** Takes a job that was just added, or another one, if there is room for it; resolves once that has begun. */
  async takeOne(line: Line, id: string): Promise<void> {
    const source = this.#sources.get(line.name);
    if (!source) return;
    source.wakes++;
    // Where this is all there is, no other look at the line is needed.
    if (!source.mayHave && this.#isTaking && this.#room(source) > 0) {
      await this.#fetch(source, id);
      return;
    }
    source.mayHave = true;
    while (this.#isTaking && source.mayHave)
      if (this.#room(source) > 0) {
        await this.#fetch(source);
        return;
      } else if (this.#fetches.size > 0 && this.room(line) > 0) await Promise.race(this.#fetches);
      else return;
  }

  pump(lane: LaneName): void {
    if (!this.#isTaking) return;
    for (const source of this.#sources.values())
      if (source.lane === lane)
        for (let room = this.#room(source); room > 0 && source.mayHave && this.#isTaking; room--)
          void this.#fetch(source);
  }

  /** A run of this line is over. */
  freed(line: Line): void {
    const source = this.#sources.get(line.name);
    if (!source) return;
    source.running--;
    // The engine frees the place after its event.
    queueMicrotask(() => this.pump(source.lane));
  }

  close(): void {
    this.#isTaking = false;
    for (const { timer } of this.#sources.values()) clearTimeout(timer);
  }

  /** Jobs that may be taken now. */
  #room({ lane, concurrency, running, fetching, streak }: Source): number {
    let fetches = 0;
    for (const source of this.#sources.values()) if (source.lane === lane) fetches += source.fetching;
    const places = Math.min(
      this.#options.engine.freePlaces(lane) - fetches,
      concurrency() - running - fetching,
    );
    return Math.min(places, Math.max(1, streak) - fetching);
  }

  #fetch(source: Source, id?: string): Promise<void> {
    const fetch = this.#take(source, id).finally(() => this.#fetches.delete(fetch));
    this.#fetches.add(fetch);
    return fetch;
  }

  /** `id`: the one job that the line is known to have. */
  async #take(source: Source, id: string | undefined): Promise<void> {
    source.fetching++;
    const { line } = source;
    let taken: Awaited<ReturnType<Line['take']>> | undefined;
    const { wakes } = source;
    try {
      const isForAge = (source.turns + 1) % this.#options.ageEvery === 0;
      if (isForAge) await line.raiseOldest();
      taken = await line.take();
    } catch (error) {
      source.mayHave = false; // the next beat looks again
      if (!WaggleError.is(error, 'ENGINE_UNAVAILABLE'))
        this.#options.logger.error({ err: error, line: line.name }, 'no job can be taken');
    } finally {
      source.fetching--;
    }
    if (!taken) return;
    if ('dueAt' in taken) {
      source.streak = 0;
      if (source.wakes === wakes) source.mayHave = false;
      if (taken.dueAt > 0) this.#wakeAt(source, taken.dueAt);
    } else {
      source.turns++;
      source.streak++;
      if (id !== undefined && id !== taken.id) source.mayHave = true;
      source.running++;
      const reception = this.#options.receive(line, taken);
      if (reception !== 'runs') source.running--;
      if (reception === 'later') void this.#giveBack(source, taken);
    }
    this.pump(source.lane);
  }

  #wakeAt(source: Source, at: number): void {
    clearTimeout(source.timer);
    source.timer = setTimeout(
      () => this.wake(source.line.name, true),
      Math.min(Math.max(1, at - Date.now()), longestWaitMs),
    );
  }

  async #giveBack(source: Source, { id, data }: Taken): Promise<void> {
    const ms = Math.round(giveBackMs.least + Math.random() * (giveBackMs.most - giveBackMs.least));
    source.yieldsFrom = Date.now() + ms;
    try {
      await source.line.giveBack(id, ms);
    } catch (error) {
      // Its lock expires, and it is back in the line then.
      this.#options.logger.debug(
        { err: error, task: data.name },
        'a job of an unknown task stays for a while',
      );
    }
  }
}

function yields({ yieldsFrom }: Source): boolean {
  const dueMs = Date.now() - yieldsFrom;
  return dueMs >= 0 && dueMs < yieldMs;
}
