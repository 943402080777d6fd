import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import {
  definePlugin,
  type KernelEvents,
  type TaskDefinition,
  type TaskEngine,
  type TaskRun,
  WaggleError,
} from '#kernel';
import { config } from '../../../plugins/schedule-croner/config.js';
import scheduleCroner from '../../../plugins/schedule-croner/index.js';
import { Occurrences } from '../../../plugins/schedule-croner/occurrences.js';
import { Schedules } from '../../../plugins/schedule-croner/schedules.js';
import tasksTinypool from '../../../plugins/tasks-tinypool/index.js';
import { startHive } from '../../support/hive.js';
import { recordingLogger, rejection, startKernel } from '../../support/kernel.js';

const minute = 60_000;
const start = Date.parse('2026-03-28T06:59:30Z');
const task = (more: Partial<TaskDefinition> = {}): TaskDefinition =>
  ({
    name: 'report:daily',
    lane: 'main',
    run: () => {},
    schedule: { cron: '* * * * *', timeZone: 'UTC' },
    ...more,
  }) as TaskDefinition;

/** Schedules with an engine that runs what `end` lets end. */
function setUp(settings: object = {}, isIdle = false) {
  const submitted: { readonly name: string; readonly input: unknown; readonly at: number }[] = [];
  const missed: KernelEvents['task:missed'][] = [];
  const state = { refuses: false, running: false };
  const submit = (name: string, input: unknown) => {
    if (state.refuses) throw new WaggleError('QUEUE_FULL', { limit: 1, what: 'tasks', retryAfterMs: 1 });
    submitted.push({ name, input, at: Date.now() });
    const { running } = state;
    return {
      get ended() {
        return !running || !state.running;
      },
      result: Promise.resolve(),
    } as Partial<TaskRun>;
  };
  const { logger, lines } = recordingLogger();
  const bus = { emit: (_: string, event: never) => void missed.push(event) };
  const engine = { submit } as unknown as TaskEngine;
  const schedules = new Schedules(config.parse(settings).schedules, { engine, bus, logger, isIdle });
  return { schedules, submitted, missed, state, lines };
}

beforeEach(() => void vi.useFakeTimers({ now: start, toFake: ['Date', 'setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

describe('a task with a schedule', () => {
  it('runs at its times, in its time zone, also where the clocks change', async () => {
    const { schedules, submitted } = setUp();
    schedules.added(task({ schedule: { cron: '30 2 * * *', timeZone: 'Europe/Berlin', input: { a: 1 } } }));
    await vi.advanceTimersByTimeAsync(4 * 24 * 60 * minute);
    // On the 29th the hour from 2 to 3 does not exist.
    expect(submitted.map(({ at }) => new Date(Math.floor(at / 1000) * 1000).toISOString())).toEqual([
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
      '2026-03-31T00:30:00.000Z',
      '2026-04-01T00:30:00.000Z',
    ]);
    expect(submitted[0]).toMatchObject({ name: 'report:daily', input: { a: 1 } });
    schedules.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('starts and misses none where another process of the server starts them, and shows the next one', async () => {
    const { schedules, submitted, missed } = setUp({}, true);
    schedules.added(task());
    await vi.advanceTimersByTimeAsync(3 * minute);
    vi.setSystemTime(start + 60 * minute);
    await vi.advanceTimersByTimeAsync(3 * minute);
    expect([submitted, missed]).toEqual([[], []]);
    expect(schedules.find('report:daily')?.nextAt).toBeGreaterThan(start + 60 * minute);
    schedules.stop();
  });

  it('misses a run while the one before is running, and one that the engine refuses; says and counts it', async () => {
    const { schedules, submitted, missed, state, lines } = setUp();
    schedules.added(task());
    state.running = true;
    await vi.advanceTimersByTimeAsync(3 * minute);
    expect(submitted).toHaveLength(1);
    state.running = false;
    state.refuses = true;
    await vi.advanceTimersByTimeAsync(minute);
    const at = (minutes: number) => Date.parse('2026-03-28T07:00:00Z') + minutes * minute;
    const name = 'report:daily';
    expect(missed).toEqual([
      { name, dueAt: at(1), count: 1, reason: 'running' },
      { name, dueAt: at(2), count: 1, reason: 'running' },
      { name, dueAt: at(3), count: 1, reason: 'refused', code: 'QUEUE_FULL' },
    ]);
    state.refuses = false;
    await vi.advanceTimersByTimeAsync(minute);
    expect(submitted).toHaveLength(2);
    const { cron, timeZone, nextAt, lastAt, missed: count } = schedules.find(name) ?? {};
    expect({ cron, timeZone, nextAt, lastAt, count }).toEqual({
      ...{ cron: '* * * * *', timeZone: 'UTC', count: 3 },
      ...{ nextAt: at(5), lastAt: at(4) },
    });
    expect(lines.filter(({ msg }) => msg === 'a scheduled run was missed')).toMatchObject([
      { level: 'warn', task: name, due: '2026-03-28T07:01:00.000Z', reason: 'running', missed: 1 },
      { missed: 2 },
      { reason: 'refused', code: 'QUEUE_FULL', missed: 3 },
    ]);
    schedules.stop();
  });

  it('that slept is told what it has missed, at most a thousand at once, and goes on', async () => {
    const { schedules, submitted, missed } = setUp();
    schedules.added(task({ schedule: { cron: '0 7 * * *', timeZone: 'UTC' } }));
    vi.setSystemTime(start + 3 * 24 * 60 * minute + 10 * minute);
    await vi.advanceTimersByTimeAsync(minute);
    expect(missed).toEqual([
      { name: 'report:daily', dueAt: Date.parse('2026-03-31T07:00:00Z'), count: 4, reason: 'late' },
    ]);
    schedules.added(task({ name: 'often', schedule: '* * * * * *' }));
    vi.setSystemTime(start + 5000 * 24 * 60 * minute);
    await vi.advanceTimersByTimeAsync(minute);
    expect(missed.find(({ name }) => name === 'often')).toMatchObject({ count: 1001, reason: 'late' });
    expect(submitted.filter(({ name }) => name === 'often').length).toBeGreaterThan(20);
    schedules.stop();
  });

  it('runs or is missed once for each of its times, however the machine sleeps and is busy', async () => {
    const step = fc.record({
      what: fc.constantFrom('pass', 'sleep'),
      ms: fc.integer({ min: 0, max: 10 * minute }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.constantFrom('* * * * *', '*/7 * * * * *', '5 * * * *'),
        async (steps, cron) => {
          vi.setSystemTime(start);
          const { schedules, submitted, missed, state } = setUp();
          schedules.added(task({ schedule: { cron, timeZone: 'UTC' } }));
          for (const { what, ms } of steps) {
            state.running = ms % 3 === 0;
            state.refuses = ms % 5 === 0;
            if (what === 'pass') await vi.advanceTimersByTimeAsync(ms);
            else vi.setSystemTime(Date.now() + ms);
          }
          await vi.advanceTimersByTimeAsync(minute);
          const { nextAt = 0 } = schedules.find('report:daily') ?? {};
          schedules.stop();
          const occurrences = new Occurrences({ cron, timeZone: 'UTC' });
          let due = 0;
          for (let at = occurrences.after(start); at < nextAt; at = occurrences.after(at)) due++;
          const lost = missed.reduce((sum, { count }) => sum + count, 0);
          expect(submitted.length + lost).toBe(due);
          expect(nextAt).toBeGreaterThan(Date.now());
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is not run all at once when the clock was set back and goes forward again', async () => {
    const { schedules, submitted, missed } = setUp();
    schedules.added(task());
    await vi.advanceTimersByTimeAsync(minute);
    vi.setSystemTime(start - 365 * 24 * 60 * minute);
    await vi.advanceTimersByTimeAsync(2 * minute);
    expect(submitted.length).toBeGreaterThanOrEqual(2);
    expect(submitted.length).toBeLessThanOrEqual(3);
    expect(missed).toEqual([]);
    schedules.stop();
  });

  it('goes on where it was when its plugin is reloaded', async () => {
    const { schedules, submitted, missed } = setUp();
    const [before, after] = [task(), task()];
    schedules.added(before);
    schedules.removed(before);
    await vi.advanceTimersByTimeAsync(minute);
    expect(submitted).toEqual([]);
    schedules.added(after);
    await vi.advanceTimersByTimeAsync(1);
    expect([submitted.length, missed.length]).toEqual([1, 0]);
    schedules.stop();
  });

  it('has the schedule of the config, or none, in the place of its own', async () => {
    const { schedules, submitted } = setUp({
      schedules: {
        'report:daily': { cron: '@hourly', input: 5 },
        'other:task': false,
        'no:task': { cron: '@daily' },
      },
    });
    schedules.added(task());
    schedules.added(task({ name: 'other:task' }));
    schedules.added(task({ name: '__proto__', schedule: undefined as never }));
    expect(schedules.find('other:task')).toBeUndefined();
    expect(schedules.unknown).toEqual(['no:task']);
    await vi.advanceTimersByTimeAsync(61 * minute);
    expect(submitted.map(({ input }) => input)).toEqual([5, 5]);
    schedules.stop();
  });
});

describe('a schedule with a mistake', () => {
  const schedules: readonly (readonly [unknown, RegExp])[] = [
    ['every day', /"every day" is no cron expression/],
    ['', /is no cron expression/],
    ['60 * * * *', /"60 \* \* \* \*" is no cron expression/],
    ['0 0 30 2 *', /"0 0 30 2 \*" never comes/],
    ['0 0 0 1 1 * 2020', /never comes/],
    [
      { cron: '* * * * *', timeZone: 'Berlin' },
      /"Berlin" is no time zone; expected a name such as Europe\/Berlin/,
    ],
    [{ cron: 5 }, /expected a cron expression, or \{ cron, timeZone, input \}/],
    [null, /expected a cron expression/],
    [{ cron: '@daily', input: { text: 5 } }, /its input: text: expected string/],
    ['@daily', /its input: text: expected string/],
  ];

  it.each(schedules)('%j is refused at the registration, by name', async (schedule, why) => {
    vi.useRealTimers();
    const input = z.object({ text: z.string() });
    const plugin = definePlugin({
      name: 'reports',
      apiVersion: 1,
      setup: (ctx) => void ctx.registerTask(task({ schedule: schedule as string, input })),
    });
    const error = await rejection(
      startKernel([
        [tasksTinypool, {}],
        [scheduleCroner, {}],
        [plugin, {}],
      ]),
    );
    expect(error.message).toMatch(
      /"reports" cannot register the task "report:daily": the schedule of "report:daily": /,
    );
    expect(error.message).toMatch(why);
  });

  it('is found in the config before anything starts', () => {
    const { error } = config.safeParse({
      schedules: { a: { cron: 'x' }, b: { cron: '@daily', timeZone: 'x' } },
    });
    expect(error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual([
      expect.stringMatching(/^schedules\.a: "x" is no cron expression/),
      expect.stringMatching(/^schedules\.b: "x" is no time zone/),
    ]);
  });
});

describe('in a server', () => {
  it('a task runs by itself, is shown with its next run, and ends with its plugin', async () => {
    vi.useRealTimers();
    let ran: () => void = () => {};
    const twice = new Promise<void>((resolve) => {
      let runs = 0;
      ran = () => void (++runs === 2 && resolve());
    });
    const plugin = definePlugin({
      name: 'ticks',
      apiVersion: 1,
      setup: (ctx) =>
        void ctx.registerTask({ name: 'tick', lane: 'main', schedule: '* * * * * *', run: ran }),
    });
    const hive = await startHive({ plugins: [scheduleCroner, plugin] });
    await twice;
    const find = async () => {
      const { tasks } = await (await fetch(`${hive.url}/tasks`)).json();
      return tasks.find(({ name }: { readonly name: string }) => name === 'tick');
    };
    const shown = await find();
    expect(shown.schedule).toEqual({
      cron: '* * * * * *',
      timeZone: expect.any(String),
      nextAt: expect.any(Number),
      lastAt: expect.any(Number),
      missed: expect.any(Number),
    });
    expect(shown.schedule.nextAt % 1000).toBe(0);
    await hive.kernel.unload('ticks');
    expect(await find()).toBeUndefined();
    await hive.close();
  });
});
