import type { ScheduledTask, TaskDefinition, TaskSchedule, TaskSchedules, Watcher } from '#kernel';
import { checkNow, fromClient } from '#sdk';
import type { Config } from './config.js';
import { Occurrences } from './occurrences.js';
import { type ScheduleContext, Scheduled } from './scheduled-task.js';

const maxLeft = 1000;

/** The schedules of all registered tasks. */
export class Schedules implements TaskSchedules, Watcher<TaskDefinition> {
  readonly #config: Config['schedules'];
  readonly #context: ScheduleContext;
  readonly #tasks = new Map<string, Scheduled>();
  /** Of unregistered tasks: a reload misses nothing. */
  readonly #left = new Map<string, Scheduled>();

  constructor(config: Config['schedules'], context: ScheduleContext) {
    this.#config = config;
    this.#context = context;
  }

  find(name: string): ScheduledTask | undefined {
    return this.#tasks.get(name);
  }

  /** Schedules a registered task. @throws what is wrong with its schedule */
  added(definition: TaskDefinition): void {
    const { name } = definition;
    const schedule = this.#scheduleOf(definition);
    if (!schedule) return;
    const { input = {} } = schedule;
    let occurrences: Occurrences;
    try {
      occurrences = new Occurrences(schedule);
      checkInput(definition, input);
    } catch (cause) {
      throw new Error(`the schedule of "${name}": ${(cause as Error).message}`, { cause });
    }
    const { cron, timeZone } = occurrences;
    const left = this.#left.get(name);
    this.#left.delete(name);
    const nextAt = left?.cron === cron && left.timeZone === timeZone ? left.nextAt : undefined;
    const scheduled = new Scheduled(name, occurrences, input, this.#context, nextAt);
    this.#tasks.set(name, scheduled);
    const now = Date.now();
    const [previous, next] = [occurrences.before(now), occurrences.after(now)].map(
      (at) => at && new Date(at).toISOString(),
    );
    this.#context.logger.info(
      { task: name, cron, timeZone, previous, next },
      'a task is scheduled; what was due while no server was running is not made up for',
    );
  }

  removed({ name }: TaskDefinition): void {
    const scheduled = this.#tasks.get(name);
    if (!scheduled) return;
    scheduled.stop();
    this.#tasks.delete(name);
    if (this.#left.size < maxLeft) this.#left.set(name, scheduled);
  }

  /** Names in the config that are no task. */
  get unknown(): readonly string[] {
    return Object.keys(this.#config).filter((name) => this.#config[name] && !this.#tasks.has(name));
  }

  stop(): void {
    for (const scheduled of this.#tasks.values()) scheduled.stop();
    this.#tasks.clear();
  }

  #scheduleOf({ name, schedule }: TaskDefinition): TaskSchedule | undefined {
    const configured = Object.hasOwn(this.#config, name) ? this.#config[name] : undefined;
    if (configured !== undefined) return configured || undefined;
    if (schedule === undefined) return undefined;
    const given: unknown = typeof schedule === 'string' ? { cron: schedule } : schedule;
    const { cron, timeZone } = (given ?? {}) as Partial<TaskSchedule>;
    if (typeof cron !== 'string' || (timeZone !== undefined && typeof timeZone !== 'string'))
      throw new Error(`the schedule of "${name}": expected a cron expression, or { cron, timeZone, input }`);
    return given as TaskSchedule;
  }
}

/** @throws why the task will not take it */
function checkInput({ input: schema }: TaskDefinition, input: unknown): void {
  if (!schema) return;
  const checked = checkNow(schema, input, fromClient);
  // One that takes time is checked by the engine.
  if (!(checked instanceof Promise) && checked.issues)
    throw new Error(`its input: ${checked.issues.join('; ')}`);
}
