import {
  type EventBus,
  type Logger,
  type MissedReason,
  type ScheduledTask,
  type TaskEngine,
  type TaskRun,
  toClientError,
} from '#kernel';
import { Alarm, type Due } from './alarm.js';
import type { Occurrences } from './occurrences.js';

/** Services for all of them. */
export interface ScheduleContext {
  readonly engine: TaskEngine;
  readonly bus: Pick<EventBus, 'emit'>;
  readonly logger: Logger;
  /** Whether another process of this server starts the runs. */
  readonly isIdle?: boolean;
}

/** One task with its alarm: submits its runs, one at a time. */
export class Scheduled implements ScheduledTask {
  readonly cron: string;
  readonly timeZone: string;
  readonly #name: string;
  readonly #input: unknown;
  readonly #context: ScheduleContext;
  readonly #alarm: Alarm;
  #run: TaskRun | undefined;
  #isSubmitting = false;
  #missed = 0;
  #lastAt: number | undefined;

  constructor(
    name: string,
    occurrences: Occurrences,
    input: unknown,
    context: ScheduleContext,
    nextAt: number | undefined,
  ) {
    this.cron = occurrences.cron;
    this.timeZone = occurrences.timeZone;
    this.#name = name;
    this.#input = input;
    this.#context = context;
    this.#alarm = new Alarm(occurrences, (due) => this.#due(due), nextAt);
  }

  get nextAt(): number {
    return this.#alarm.nextAt;
  }

  get lastAt(): number | undefined {
    return this.#lastAt;
  }

  get missed(): number {
    return this.#missed;
  }

  stop(): void {
    this.#alarm.stop();
  }

  #due({ at, missed, lastMissedAt }: Due): void {
    if (this.#context.isIdle) return;
    if (missed > 0) this.#miss('late', lastMissedAt, missed);
    if (at === undefined) return;
    if (this.#isSubmitting || this.#run?.ended === false) this.#miss('running', at, 1);
    else void this.#submit(at);
  }

  async #submit(at: number): Promise<void> {
    this.#isSubmitting = true;
    try {
      this.#run = await this.#context.engine.submit(this.#name, this.#input);
      this.#lastAt = at;
      // The engine reports the end of a run.
      this.#run.result.catch(() => {});
    } catch (error) {
      this.#miss('refused', at, 1, toClientError(error).code);
    } finally {
      this.#isSubmitting = false;
    }
  }

  #miss(reason: MissedReason, dueAt: number, count: number, code?: string): void {
    const { bus, logger } = this.#context;
    const task = this.#name;
    this.#missed += count;
    const about = { reason, count, ...(code && { code }) };
    const due = new Date(dueAt).toISOString();
    logger.warn({ task, due, ...about, missed: this.#missed }, 'a scheduled run was missed');
    bus.emit('task:missed', { name: task, dueAt, ...about });
  }
}
