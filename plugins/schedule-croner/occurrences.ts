import { Cron } from 'croner';
import { messageOf, type TaskSchedule } from '#kernel';

/** The times of a schedule. */
export class Occurrences {
  readonly cron: string;
  readonly timeZone: string;
  readonly #cron: Cron;

  /** @throws an error that says what is wrong with it */
  constructor({ cron, timeZone = new Intl.DateTimeFormat().resolvedOptions().timeZone }: TaskSchedule) {
    this.cron = cron;
    this.timeZone = timeZone;
    try {
      new Intl.DateTimeFormat('en', { timeZone });
    } catch {
      throw new Error(`"${timeZone}" is no time zone; expected a name such as Europe/Berlin`);
    }
    try {
      this.#cron = new Cron(cron, { timezone: timeZone, paused: true });
    } catch (error) {
      throw new Error(`"${cron}" is no cron expression: ${messageOf(error)}`);
    }
    if (!this.#cron.nextRun()) throw new Error(`"${cron}" never comes`);
  }

  /** The first time after `ms`; far away when there is none. */
  after(ms: number): number {
    return this.#cron.nextRun(new Date(ms))?.getTime() ?? Number.MAX_SAFE_INTEGER;
  }

  /** The last time before `ms`, if there was one. */
  before(ms: number): number | undefined {
    return this.#cron.previousRuns(1, new Date(ms))[0]?.getTime();
  }
}
