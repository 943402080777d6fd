import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  type EventBus,
  type EventName,
  type Release,
  type SubmitOptions,
  type TaskCall,
  type TaskDefinition,
  type TaskEngine,
  type TaskPriority,
  type TaskRun,
  taskPriorities,
  WaggleError,
} from '#kernel';
import type { Registry } from '../../kernel/registry.js';
import { deferred, type LogLine, rejection } from '../support/kernel.js';
import { times } from '../support/thorough.js';

const fixture = (name: string): URL => new URL(`../fixtures/tasks/${name}.mjs`, import.meta.url);

const events = [
  'task:queued',
  'task:started',
  'task:retrying',
  'task:succeeded',
  'task:failed',
  'task:cancelled',
  'task:rejected',
] as const satisfies readonly EventName[];

/** Limits that every implementation has, under these names. */
export interface EngineLimits {
  readonly mainConcurrency?: number;
  readonly queueLimit?: number;
  readonly ageEvery?: number;
  readonly maxPriority?: TaskPriority;
  readonly timeoutMs?: number;
  readonly cancelGraceMs?: number;
  readonly unregisterGraceMs?: number;
  readonly maxPartials?: number;
  readonly totalLimitChars?: number;
  readonly keepMs?: number;
  readonly maxKept?: number;
  readonly maxDeadLetters?: number;
}

/** An implementation with the registry that feeds it, the bus of its events and the lines of its log. */
export interface EngineSubject {
  readonly engine: TaskEngine & { drain(deadline: AbortSignal): Promise<void>; close(): Promise<void> };
  readonly tasks: Registry<TaskDefinition>;
  readonly bus: EventBus;
  readonly lines: readonly LogLine[];
}

/** What an implementation is. */
export interface EngineTraits {
  /**
   * Whether its line is shared with other processes, and outlives this one. Then three promises are not made: that users take turns
   * within one priority; that places, which are of one process, come in one order with runs; and that runs which wait at the end of
   * this process are cancelled, as others run them.
   */
  readonly isShared?: boolean;
}

/** The promises of the contract `TaskEngine`, for any implementation. */
export function taskEngineContract(
  name: string,
  create: (limits: EngineLimits) => EngineSubject,
  { isShared = false }: EngineTraits = {},
): void {
  const start = (limits: EngineLimits = {}) => {
    const created = create(limits);
    const { engine, tasks, bus } = created;
    const log: string[] = [];
    for (const event of events) bus.on(event, (about) => void log.push(`${event.slice(5)} ${about.name}`));
    const register = (definition: Partial<TaskDefinition> & { readonly name: string }) =>
      tasks.add(
        { lane: 'main', run: async (input: unknown) => input, ...definition } as TaskDefinition,
        'test',
      );
    const module = (file: string, more: Partial<TaskDefinition> = {}) =>
      register({ name: file, lane: 'worker', module: fixture(file), ...more } as TaskDefinition);
    /** A task of the main lane that runs until it is released. */
    const gate = (name: string, more: Partial<TaskDefinition> = {}) => {
      const started: unknown[] = [];
      const waiting: (() => void)[] = [];
      const run = (input: unknown, { signal }: { readonly signal: AbortSignal }) => {
        started.push(input);
        const { promise, resolve, reject } = deferred<unknown>();
        waiting.push(() => resolve(input));
        signal.addEventListener('abort', () => reject(new Error('stopped')));
        return promise;
      };
      register({ name, lane: 'main', run, ...more } as TaskDefinition);
      return {
        started,
        release: () => waiting.shift()?.(),
        releaseAll: () => {
          for (const go of waiting.splice(0)) go();
        },
      };
    };
    const balanced = () => {
      const { submitted, succeeded, failed, cancelled, rejected, waiting, running } = engine.stats;
      return submitted === succeeded + failed + cancelled + rejected + waiting + running;
    };
    return { ...created, log, register, module, gate, balanced };
  };
  const aborting = () => {
    const controller = new AbortController();
    return { signal: controller.signal, abort: () => controller.abort() };
  };
  const settled = (runs: readonly TaskRun[]) => Promise.allSettled(runs.map((run) => run.result));

  describe(`${name} keeps the TaskEngine contract`, () => {
    describe('a run', () => {
      it('gives what its function gives, on the main thread', async () => {
        const { engine, register, log } = start();
        register({ name: 'double', run: async (n: number) => n * 2 } as never);
        const run = await engine.submit('double', 21);
        expect(await run.result).toBe(42);
        expect(run).toMatchObject({
          name: 'double',
          state: 'succeeded',
          ended: true,
          output: 42,
          attempts: 1,
        });
        expect(log).toEqual(['queued double', 'started double', 'succeeded double']);
        await engine.close();
      });

      it('gives what its module gives', async () => {
        const { engine, module } = start();
        module('echo');
        expect(await (await engine.submit('echo', { a: [1, 'ü'] })).result).toEqual({ a: [1, 'ü'] });
        await engine.close();
      });

      it('has an id that nobody guesses, is found by it, and says how long it took', async () => {
        const { engine, module } = start();
        module('echo');
        const run = await engine.submit('echo', 1);
        expect(Buffer.from(run.id, 'base64url').length * 8).toBeGreaterThanOrEqual(128);
        expect(await engine.find(run.id)).toBe(run);
        await run.result;
        expect(run.queuedMs).toBeGreaterThanOrEqual(0);
        expect(run.runMs).toBeGreaterThan(0);
        expect(await engine.find('nobody')).toBeUndefined();
        await engine.close();
      });

      it('writes to the log of the server', async () => {
        const { engine, module, lines } = start();
        module('logs');
        const run = await engine.submit('logs', null);
        await run.result;
        expect(lines).toContainEqual(
          expect.objectContaining({ msg: 'from a task', size: 3, task: 'logs', taskId: run.id.slice(0, 6) }),
        );
        await engine.close();
      });

      it.each(['main', 'worker'] as const)(
        'knows its user and its connection on the %s lane, and so do the lines of its log',
        async (lane) => {
          const { engine, register, module, lines } = start();
          if (lane === 'worker') module('who');
          else
            register({
              name: 'who',
              run: (_: unknown, { userId, connection, logger }: TaskCall) => {
                logger.info({}, 'asked');
                return { userId, connection };
              },
            } as never);
          const asked = { owner: 'ann', connection: 'c1' };
          expect(await (await engine.submit('who', null, asked)).result).toEqual({
            userId: 'ann',
            connection: 'c1',
          });
          expect(lines.filter(({ msg }) => msg === 'asked')).toMatchObject([{ task: 'who', userId: 'ann' }]);
          expect(await (await engine.submit('who', null)).result).toEqual({});
          await engine.close();
        },
      );

      it('is found by its user, by others only with the scope "act-as", and without a principal by all', async () => {
        const { engine, register } = start();
        register({ name: 'note' });
        const theirs = await engine.submit('note', 1, { owner: 'ann' });
        const ownerless = await engine.submit('note', 1);
        const find = ({ id }: TaskRun, user: string | undefined, scopes: readonly string[] = []) =>
          engine.find(id, user === undefined ? undefined : { id: user, scopes });
        for (const state of ['running', 'ended']) {
          expect(await find(theirs, 'ann'), state).toBe(theirs);
          expect(await find(theirs, 'bob'), state).toBeUndefined();
          expect(await find(theirs, 'bob', ['admin']), state).toBeUndefined();
          expect(await find(theirs, 'bob', ['act-as']), state).toBe(theirs);
          expect(await find(theirs, undefined), state).toBe(theirs);
          expect(await find(ownerless, 'bob'), state).toBeUndefined();
          await settled([theirs, ownerless]);
        }
        await engine.close();
      });
    });

    describe('the events of a run', () => {
      it('all carry its user, those of an admission as well', async () => {
        const { engine, bus, gate, module, register } = start({ mainConcurrency: 1, queueLimit: 2 });
        const { release } = gate('gate');
        register({ name: 'place' });
        module('fails', { retries: { max: 1, baseMs: 1 } });
        const told: string[] = [];
        for (const event of events)
          bus.on(event, ({ name, userId }) => void told.push(`${event.slice(5)} ${name} ${userId}`));
        const failed = rejection((await engine.submit('fails', { how: 'throw' }, { owner: 'ann' })).result);
        await failed;
        expect(told).toEqual(
          ['queued', 'started', 'retrying', 'started', 'failed'].map((e) => `${e} fails ann`),
        );
        told.length = 0;
        const first = await engine.submit('gate', 1, { owner: 'ann' });
        const second = engine.admit('place', { owner: 'bob' });
        const third = await engine.submit('gate', 1, { owner: 'cid' });
        await expect(engine.submit('gate', 1, { owner: 'dan' })).rejects.toThrow();
        const leaving = third.cancel();
        release();
        await first.result;
        (await second)();
        await leaving;
        expect(told.sort()).toEqual([
          'cancelled gate cid',
          'queued gate ann',
          'queued gate cid',
          'queued place bob',
          'rejected gate dan',
          'started gate ann',
          'started place bob',
          'succeeded gate ann',
          'succeeded place bob',
        ]);
        await engine.close();
      });
    });

    describe('input and output', () => {
      it('are checked against any schema, and the mistake names its place', async () => {
        const { engine, register, balanced } = start();
        register({ name: 'len', input: z.object({ text: z.string() }), run: async () => 1 } as never);
        await expect(engine.submit('len', { text: 1 })).rejects.toThrow(
          expect.objectContaining({
            code: 'INVALID_REQUEST',
            message: 'invalid request: input.text: expected string, got number 1',
          }),
        );
        await expect(engine.submit('len', 'x')).rejects.toThrow('input: expected');
        expect(engine.stats).toMatchObject({ submitted: 2, rejected: 2, waiting: 0 });
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it('are what the schema makes of them', async () => {
        const { engine, register } = start();
        const input = z.object({ n: z.number().default(7) });
        register({
          name: 'n',
          input,
          run: async ({ n }: { n: number }) => n,
          output: z.number().transform((n) => n + 1),
        } as never);
        expect(await (await engine.submit('n', {})).result).toBe(8);
        await engine.close();
      });

      it('may be checked by a schema that takes its time', async () => {
        const { engine, register, balanced } = start();
        const input = z.string().refine(async (text) => text !== 'bad', 'not this one');
        register({ name: 'slow-check', input, run: async (text: string) => text } as never);
        expect(await (await engine.submit('slow-check', 'good')).result).toBe('good');
        const bad = await engine.submit('slow-check', 'bad');
        expect(await rejection(bad.result)).toMatchObject({ code: 'INVALID_REQUEST' });
        const cancelled = await engine.submit('slow-check', 'good');
        expect(await cancelled.cancel()).toBe(true);
        expect(engine.stats).toMatchObject({
          succeeded: 1,
          failed: 1,
          cancelled: 1,
          waiting: 0,
          running: 0,
        });
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it('fails a run whose output is not what was promised', async () => {
        const { engine, register } = start();
        register({ name: 'liar', output: z.number(), run: async () => 'x' } as never);
        const error = await rejection((await engine.submit('liar', null)).result);
        expect(error).toMatchObject({ code: 'TASK_FAILED', message: expect.stringContaining('promises') });
        expect((error.cause as Error).message).toContain('expected number');
        await engine.close();
      });
    });

    describe('a run that fails', () => {
      it.each(['throw', 'reject', 'throw a text', 'throw nothing', 'throw an odd thing'])(
        'because of a %s is one failed run with a code, and the next one works',
        async (how) => {
          const { engine, module, balanced } = start();
          module('fails');
          const error = await rejection((await engine.submit('fails', { how })).result);
          expect(error).toMatchObject({ code: 'TASK_FAILED' });
          // What a task throws may hold anything.
          expect(error.message).toBe('task "fails" failed: it threw an error');
          expect(error.cause).toBeInstanceOf(Error);
          expect(await (await engine.submit('fails', { how: 'fine' })).result).toBe('fine');
          expect(engine.stats).toMatchObject({ failed: 1, succeeded: 1 });
          expect(balanced()).toBe(true);
          await engine.close();
        },
      );

      it('with an error of the catalogue fails with that', async () => {
        const { engine, module } = start();
        module('fails');
        expect(await rejection((await engine.submit('fails', { how: 'coded' })).result)).toMatchObject({
          code: 'INVALID_REQUEST',
          message: 'invalid request: text: too odd',
        });
        await engine.close();
      });

      it('is nobody’s unhandled rejection when nobody waits for it', async () => {
        const { engine, module, bus } = start();
        module('fails');
        const failed = new Promise<void>((resolve) => void bus.on('task:failed', () => resolve()));
        await engine.submit('fails', { how: 'throw' });
        await failed;
        await new Promise((resolve) => setImmediate(resolve));
        await engine.close();
      });
    });

    describe('retries', () => {
      it('try again with a growing wait until it works', async () => {
        const { engine, module, log, bus } = start();
        module('fails', { retries: { max: 3, baseMs: 1 } });
        const delays: number[] = [];
        bus.on('task:retrying', ({ delayMs }) => void delays.push(delayMs));
        const run = await engine.submit('fails', { how: 'twice' });
        expect(await run.result).toBe(3);
        expect(run.attempts).toBe(3);
        expect(log.filter((line) => line.startsWith('retrying'))).toHaveLength(2);
        expect(delays.every((delay) => delay >= 1 && delay <= 2)).toBe(true);
        expect(await engine.deadLetters()).toEqual([]);
        await engine.close();
      });

      it('end with a dead letter that says why', async () => {
        const { engine, module, balanced } = start();
        module('fails', { retries: { max: 2, baseMs: 1 } });
        const run = await engine.submit('fails', { how: 'throw' });
        await rejection(run.result);
        expect(await engine.deadLetters()).toEqual([
          {
            taskId: run.id,
            name: 'fails',
            attempts: 3,
            code: 'TASK_FAILED',
            reason: expect.stringContaining('secret'),
            at: expect.any(Number),
          },
        ]);
        expect(engine.stats).toMatchObject({ failed: 1, submitted: 1 });
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it('are not made for an invalid request, nor after a cancel', async () => {
        const { engine, module, bus } = start();
        module('fails', { retries: { max: 5, baseMs: 60_000, maxMs: 60_000 } });
        const coded = await engine.submit('fails', { how: 'coded' });
        await rejection(coded.result);
        expect(coded.attempts).toBe(1);
        const retrying = new Promise<void>((resolve) => void bus.on('task:retrying', () => resolve()));
        const run = await engine.submit('fails', { how: 'throw' });
        await retrying;
        expect(run.state).toBe('delayed');
        expect(engine.stats).toMatchObject({ waiting: 1, delayed: 1 });
        expect(await run.cancel()).toBe(true);
        expect(engine.stats).toMatchObject({ waiting: 0, delayed: 0, cancelled: 1 });
        await engine.close();
      });

      it('keep a bounded number of dead letters, the newest ones', async () => {
        const { engine, module } = start({ maxDeadLetters: 2 });
        module('fails', { retries: { max: 1, baseMs: 1 } });
        const runs = await Promise.all([1, 2, 3].map(() => engine.submit('fails', { how: 'throw' })));
        const ended: string[] = [];
        for (const run of runs) void run.result.catch(() => ended.push(run.id));
        await settled(runs);
        expect((await engine.deadLetters()).map(({ taskId }) => taskId)).toEqual(ended.slice(1));
        await engine.close();
      });
    });

    describe('what a run tells', () => {
      it('comes complete and in order, and the newest progress', async () => {
        const { engine, module } = start();
        module('parts');
        const run = await engine.submit('parts', { count: 1000, pauseEvery: 37 });
        const parts: unknown[] = [];
        const progress: unknown[] = [];
        for await (const batch of run.updates())
          for (const { type, value } of batch) (type === 'partial' ? parts : progress).push(value);
        expect(parts).toEqual(Array.from({ length: 1000 }, (_, index) => index));
        expect(progress.at(-1)).toEqual({ percent: 100 });
        expect(run.progress).toEqual({ percent: 100 });
        expect(await run.result).toBe(1000);
        await engine.close();
      });

      it('can be read later and by several, each from the beginning', async () => {
        const { engine, module } = start();
        module('parts');
        const run = await engine.submit('parts', { count: 3 });
        await run.result;
        for (const _ of [1, 2]) {
          const all = [];
          for await (const batch of run.updates()) all.push(...batch);
          expect(all.map(({ type }) => type)).toEqual(['partial', 'partial', 'partial', 'progress']);
        }
        await engine.close();
      });

      it('is left by a reader at once, also while nothing comes', async () => {
        const { engine, gate } = start();
        const { release } = gate('gate');
        const run = await engine.submit('gate', 1);
        const reader = run.updates();
        const next = reader.next();
        await reader.return?.();
        expect(await next).toEqual({ done: true, value: undefined });
        release();
        await run.result;
        await engine.close();
      });

      it('is bounded: more partial results than allowed fail the run', async () => {
        const { engine, module } = start({ maxPartials: 10 });
        module('parts');
        const run = await engine.submit('parts', { count: 11 });
        expect(await rejection(run.result)).toMatchObject({ code: 'TASK_FAILED' });
        const all = [];
        for await (const batch of run.updates()) all.push(...batch);
        expect(all.filter(({ type }) => type === 'partial').length).toBeLessThanOrEqual(10);
        expect(await (await engine.submit('parts', { count: 10 })).result).toBe(10);
        await engine.close();
      });
    });

    describe('cancel', () => {
      it('takes a run that waits out of the line', async () => {
        const { engine, gate, balanced } = start({ mainConcurrency: 1 });
        const { started, release } = gate('gate');
        const [first, second, third] = (await Promise.all(
          [1, 2, 3].map((n) => engine.submit('gate', n)),
        )) as [TaskRun, TaskRun, TaskRun];
        expect(await second.cancel()).toBe(true);
        expect(await rejection(second.result)).toMatchObject({ code: 'TASK_CANCELLED' });
        release();
        await first.result;
        release();
        await third.result;
        expect(started).toEqual([1, 3]);
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it('stops a run that listens, and says so when it has stopped', async () => {
        const { engine, module } = start();
        module('until-stopped');
        const run = await engine.submit('until-stopped', null);
        for await (const _ of run.updates()) break;
        expect(run.state).toBe('running');
        expect(await run.cancel()).toBe(true);
        expect(run).toMatchObject({ state: 'cancelled', error: { code: 'TASK_CANCELLED' } });
        expect(engine.stats).toMatchObject({ running: 0, cancelled: 1 });
        await engine.close();
      });

      it('gives a finished run no second outcome, and two cancels one', async () => {
        const { engine, module, gate, log } = start();
        module('echo');
        const done = await engine.submit('echo', 1);
        await done.result;
        expect(await done.cancel()).toBe(false);
        expect(done.state).toBe('succeeded');
        gate('gate');
        const run = await engine.submit('gate', 1);
        expect(await Promise.all([run.cancel(), run.cancel()])).toEqual([true, true]);
        expect(await run.cancel()).toBe(true);
        expect(log.filter((line) => line === 'cancelled gate')).toHaveLength(1);
        await engine.close();
      });

      it('leaves a run to itself that does not stop, and drops what it still tells', async () => {
        const { engine, register } = start({ cancelGraceMs: 10 });
        const late = deferred();
        let tell = (_: unknown) => {};
        register({
          name: 'deaf',
          lane: 'main',
          run: (_: unknown, call: { progress(value: unknown): void }) => {
            tell = call.progress.bind(call);
            return late.promise;
          },
        } as never);
        const run = await engine.submit('deaf', null);
        expect(await run.cancel()).toBe(true);
        tell('too late');
        expect(run.progress).toBeUndefined();
        late.resolve();
        await engine.close();
      });
    });

    describe('a time limit', () => {
      it('ends a run that takes too long, with a code and in the dead letters', async () => {
        const { engine, module, balanced } = start();
        module('until-stopped', { timeoutMs: 30 });
        const run = await engine.submit('until-stopped', null);
        expect(await rejection(run.result)).toMatchObject({
          code: 'TASK_TIMEOUT',
          message: 'task "until-stopped" took longer than 30 ms',
        });
        expect(await engine.deadLetters()).toMatchObject([{ taskId: run.id, code: 'TASK_TIMEOUT' }]);
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it('can be set for one run', async () => {
        const { engine, module } = start();
        module('until-stopped');
        const run = await engine.submit('until-stopped', null, { timeoutMs: 20 });
        expect(await rejection(run.result)).toMatchObject({ code: 'TASK_TIMEOUT' });
        await engine.close();
      });
    });

    describe('the line', () => {
      const mixed = (length: number, seed: number) =>
        Array.from({ length }, (_, index) => taskPriorities[(index * 7919 + seed) % 4] as TaskPriority);

      /** What must come out, from the rule alone: the best priority, but every 16th time whoever came first. */
      const expected = (priorities: readonly TaskPriority[], ageEvery: number): readonly number[] => {
        const left = new Map(priorities.map((priority, index) => [index, taskPriorities.indexOf(priority)]));
        const classes = taskPriorities.map((_, rank) =>
          [...left].filter(([, each]) => each === rank).map(([index]) => index),
        );
        const order: number[] = [];
        // The first turn was that of whatever held the line up.
        for (let turn = 2; order.length < priorities.length; turn++) {
          const waiting = classes.filter((each) => each.length > 0);
          const from =
            turn % ageEvery === 0
              ? waiting.reduce((a, b) => ((a[0] as number) < (b[0] as number) ? a : b))
              : (waiting.at(-1) as number[]);
          order.push(from.shift() as number);
        }
        return order;
      };

      it('lets 10 000 runs of mixed priority leave in the right order', async () => {
        const { engine, gate, register, balanced } = start({
          mainConcurrency: 1,
          queueLimit: 10_000,
          ageEvery: 16,
          maxPriority: 'urgent',
        });
        const { release } = gate('gate');
        const order: number[] = [];
        register({ name: 'note', run: async (n: number) => void order.push(n) } as never);
        const first = await engine.submit('gate', null);
        const priorities = mixed(10_000, 3);
        const runs = await Promise.all(
          priorities.map((priority, index) => engine.submit('note', index, { priority })),
        );
        expect(engine.stats.queued).toEqual({ low: 2500, normal: 2500, high: 2500, urgent: 2500 });
        release();
        await first.result;
        await settled(runs);
        expect(order).toEqual(expected(priorities, 16));
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it('is first in, first out within one priority', async () => {
        const { engine, gate, register } = start({ mainConcurrency: 1 });
        const { release } = gate('gate');
        const order: number[] = [];
        register({ name: 'note', run: async (n: number) => void order.push(n) } as never);
        await engine.submit('gate', null);
        const runs = await Promise.all(Array.from({ length: 100 }, (_, n) => engine.submit('note', n)));
        release();
        await settled(runs);
        expect(order).toEqual(Array.from({ length: 100 }, (_, n) => n));
        await engine.close();
      });

      it('never lets the lowest wait for ever, however many come before it', async () => {
        const { engine, register } = start({ mainConcurrency: 1, ageEvery: 8 });
        let served = 0;
        let low: TaskRun | undefined;
        register({
          name: 'flood',
          run: async () => {
            served++;
            // A new one for each that is served: there is always somebody before the low one.
            if (!low?.ended) await engine.submit('flood', null, { priority: 'high' });
          },
        } as never);
        register({ name: 'patient', run: async () => served } as never);
        await engine.submit('flood', null, { priority: 'high' });
        await engine.submit('flood', null, { priority: 'high' });
        low = await engine.submit('patient', null, { priority: 'low' });
        expect(await low.result).toBeLessThanOrEqual(8);
        await engine.close();
      });

      it('is asked for no more than the config allows; the definition may have more', async () => {
        const { engine, register } = start({ maxPriority: 'normal' });
        register({ name: 'plain' });
        register({ name: 'vip', priority: 'urgent' });
        expect((await engine.submit('plain', 1, { priority: 'urgent' })).priority).toBe('normal');
        expect((await engine.submit('plain', 1, { priority: 'low' })).priority).toBe('low');
        expect((await engine.submit('vip', 1)).priority).toBe('urgent');
        await engine.close();
      });

      it('refuses at once when it is full, and says when to come again', async () => {
        const { engine, gate, log, balanced } = start({ mainConcurrency: 1, queueLimit: 2 });
        const { releaseAll, release } = gate('gate');
        const runs = await Promise.all([1, 2, 3].map((n) => engine.submit('gate', n)));
        await expect(engine.submit('gate', 4)).rejects.toThrow(
          expect.objectContaining({ code: 'QUEUE_FULL', retryAfterMs: expect.any(Number) }),
        );
        expect(log.at(-1)).toBe('rejected gate');
        for (const run of runs) {
          release();
          await run.result;
        }
        releaseAll();
        expect(engine.stats).toMatchObject({ submitted: 4, succeeded: 3, rejected: 1 });
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it('is one for all tasks', async () => {
        const { engine, gate, register } = start({ mainConcurrency: 1, queueLimit: 1 });
        const { release } = gate('gate');
        register({ name: 'other' });
        const runs = [await engine.submit('gate', 1), await engine.submit('gate', 2)];
        await expect(engine.submit('other', 1)).rejects.toThrow(
          expect.objectContaining({ code: 'QUEUE_FULL' }),
        );
        for (const run of runs) {
          release();
          await run.result;
        }
        expect(await (await engine.submit('other', 1)).result).toBe(1);
        await engine.close();
      });

      it('may be shorter for one task, down to none at all', async () => {
        const { engine, gate } = start();
        const { releaseAll } = gate('gate', { concurrency: 1, maxQueued: 0 });
        const run = await engine.submit('gate', 1);
        await expect(engine.submit('gate', 2)).rejects.toThrow(
          expect.objectContaining({ code: 'QUEUE_FULL' }),
        );
        releaseAll();
        await run.result;
        await engine.close();
      });

      it('holds a task to its own limit without holding up others', async () => {
        const { engine, gate, register } = start({ mainConcurrency: 3 });
        const { started, release } = gate('gate', { concurrency: 2 });
        register({ name: 'other' });
        const runs = await Promise.all([1, 2, 3, 4].map((n) => engine.submit('gate', n)));
        expect(await (await engine.submit('other', 'x')).result).toBe('x');
        expect(started).toEqual([1, 2]);
        expect(engine.countsOf('gate')).toMatchObject({ running: 2, waiting: 2 });
        for (const run of runs) {
          release();
          await run.result;
        }
        expect(started).toEqual([1, 2, 3, 4]);
        await engine.close();
      });

      it('orders by priority also those that wait for their own kind', async () => {
        const { engine, gate } = start();
        const { started, release } = gate('gate', { concurrency: 1 });
        const submit = (n: string, priority: TaskPriority) => engine.submit('gate', n, { priority });
        const runs = [
          await submit('first', 'low'),
          await submit('low', 'low'),
          await submit('normal', 'normal'),
          await submit('high', 'high'),
        ];
        for (let index = 0; index < runs.length; index++) {
          const run = runs.find((each) => each.state === 'running');
          release();
          await run?.result;
        }
        expect(started).toEqual(['first', 'high', 'normal', 'low']);
        await engine.close();
      });

      const ageings = isShared ? [] : [2, 16];
      it.each(ageings)('lets owners take turns, also where every %sth turn is for age', async (ageEvery) => {
        const { engine, gate, register } = start({ mainConcurrency: 1, ageEvery });
        const { release } = gate('gate');
        register({ name: 'place' });
        const order: string[] = [];
        register({ name: 'note', run: async (who: string) => void order.push(who) } as never);
        await engine.submit('gate', null);
        const many = Array.from({ length: 450 }, (_, n) => [
          engine.submit('note', `ann ${n}`, { owner: 'ann' }).then((run) => run.result),
          engine.admit('place', { owner: 'ann' }).then((leave) => {
            order.push('a place of ann');
            leave();
          }),
        ]);
        const positions: number[] = [];
        const onQueued = (ahead: number) => void positions.push(ahead);
        const others = ['bob', undefined, undefined].map((owner) =>
          engine.submit('note', `${owner}`, { owner, onQueued }),
        );
        await new Promise(setImmediate);
        // Those without an owner share the turns of one.
        expect(positions).toEqual([1, 2, 4]);
        release();
        await Promise.all([...many.flat(), ...others.map(async (run) => (await run).result)]);
        expect(order.indexOf('bob')).toBeLessThanOrEqual(2);
        expect(order.indexOf('undefined')).toBeLessThanOrEqual(3);
        expect(order.lastIndexOf('undefined')).toBeLessThanOrEqual(5);
        expect(order).toHaveLength(903);
        expect(order.filter((who) => who.startsWith('ann'))).toEqual(
          Array.from({ length: 450 }, (_, n) => `ann ${n}`),
        );
        await engine.close();
      });

      it('tells those who want to know how many are before them', async () => {
        const { engine, gate } = start();
        const { release } = gate('gate', { concurrency: 1 });
        const told: string[] = [];
        const heard = new Map<string, () => void>();
        const until = (line: string) =>
          new Promise<void>((resolve) => {
            if (told.includes(line)) resolve();
            else heard.set(line, resolve);
          });
        const submit = (name: string) =>
          engine.submit('gate', name, {
            onQueued: (ahead) => {
              told.push(`${name} ${ahead}`);
              heard.get(`${name} ${ahead}`)?.();
            },
          });
        const [a, b, c] = [await submit('a'), await submit('b'), await submit('c')];
        await until('c 1');
        release();
        await a.result;
        await until('c 0');
        release();
        await b.result;
        release();
        await c.result;
        expect(told).toEqual(['b 0', 'c 1', 'c 0']);
        await engine.close();
      });
    });

    describe('a listener of the line that throws', () => {
      it('is a line in the log, and harms nobody', async () => {
        const { engine, gate, lines } = start();
        const { release } = gate('gate', { concurrency: 1 });
        const first = await engine.submit('gate', 1);
        const heard = deferred();
        const bad = await engine.submit('gate', 2, {
          onQueued: () => {
            throw new Error('no');
          },
        });
        const good = await engine.submit('gate', 3, { onQueued: () => heard.resolve() });
        await heard.promise;
        expect(lines).toContainEqual(expect.objectContaining({ level: 'error', task: 'gate' }));
        for (const run of [first, bad, good]) {
          release();
          await run.result;
        }
        await engine.close();
      });
    });

    describe('a delayed start', () => {
      it('comes when it is due, and counts as waiting until then', async () => {
        const { engine, register } = start();
        register({ name: 'note' });
        const run = await engine.submit('note', 1, { delayMs: 20 });
        expect(run.state).toBe('delayed');
        expect(engine.stats).toMatchObject({ delayed: 1, waiting: 1, running: 0 });
        expect(await run.result).toBe(1);
        expect(run.queuedMs).toBeGreaterThanOrEqual(19);
        expect(engine.stats).toMatchObject({ delayed: 0, waiting: 0 });
        await engine.close();
      });
    });

    describe('an idempotency key', () => {
      it('gives the same run to the same owner as long as it is kept', async () => {
        const { engine, gate, balanced } = start({ keepMs: 20 });
        const { started, releaseAll } = gate('gate');
        const key = { owner: 'ann', idempotencyKey: 'k' };
        const run = await engine.submit('gate', 1, key);
        expect(await engine.submit('gate', 1, key)).toBe(run);
        expect(await engine.submit('gate', 3, { ...key, owner: 'bob' })).not.toBe(run);
        releaseAll();
        await run.result;
        expect(await engine.submit('gate', 1, key)).toBe(run);
        while (await engine.find(run.id)) await new Promise((resolve) => setTimeout(resolve, 2));
        expect(await engine.submit('gate', 5, key)).not.toBe(run);
        releaseAll();
        expect(started).toEqual([1, 3, 5]);
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it.each<[string, unknown, SubmitOptions]>([
        ['fields in another order', { b: 2, a: { d: 4, c: 3 } }, {}],
        ['another priority', { a: { c: 3, d: 4 }, b: 2 }, { priority: 'high' }],
        ['another time limit', { a: { c: 3, d: 4 }, b: 2 }, { timeoutMs: 1000 }],
        ['another start', { a: { c: 3, d: 4 }, b: 2 }, { delayMs: 1000 }],
      ])('with %s gives the same run', async (_, input, options) => {
        const { engine, gate } = start();
        gate('gate');
        const key = { owner: 'ann', idempotencyKey: 'k' };
        const run = await engine.submit('gate', { a: { c: 3, d: 4 }, b: 2 }, key);
        expect(await engine.submit('gate', input, { ...options, ...key })).toBe(run);
        await engine.close();
      });

      it.each<[string, string, unknown]>([
        ['another input', 'gate', { pin: 4321 }],
        ['none', 'gate', undefined],
        ['another type', 'gate', '{"pin":1234}'],
        ['another task', 'other', { pin: 1234 }],
        ['a task that nobody knows', 'nobody', { pin: 1234 }],
      ])('with %s is refused, while it runs and after its end', async (_, task, input) => {
        const { engine, gate, register, balanced } = start();
        const { release } = gate('gate');
        register({ name: 'other' });
        const key = { owner: 'ann', idempotencyKey: 'k' };
        const run = await engine.submit('gate', { pin: 1234 }, key);
        const refused = async () =>
          await expect(engine.submit(task, input, key)).rejects.toThrow(
            expect.objectContaining({ code: 'IDEMPOTENCY_MISMATCH' }),
          );
        await refused();
        release();
        await run.result;
        await refused();
        expect(await engine.submit('gate', { pin: 1234 }, key)).toBe(run);
        expect(engine.stats.rejected).toBe(2);
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it('without an owner says nothing: strangers share no runs', async () => {
        const { engine, gate } = start();
        gate('gate');
        const submit = (input: unknown) => engine.submit('gate', input, { idempotencyKey: 'k' });
        expect(new Set([await submit(1), await submit(1), await submit(2)]).size).toBe(3);
        await engine.close();
      });

      it.each([
        ['threw', 'fails', 'throw', {}],
        ['took its thread down', 'kills', 'exit', {}],
        ['failed for good', 'fails', 'throw', { retries: { max: 1, baseMs: 1 } }],
      ])('of a run that %s gives another one, and stays with that', async (_, task, how, more) => {
        const { engine, module } = start({ maxKept: 1 });
        module(task, more);
        module('echo');
        const key = { owner: 'ann', idempotencyKey: 'k' };
        const run = await engine.submit(task, { how }, key);
        expect(await engine.submit(task, { how }, key)).toBe(run);
        await settled([run]);
        expect(await engine.find(run.id)).toBe(run);
        const again = await engine.submit('echo', 1, key);
        expect(again).not.toBe(run);
        expect(await again.result).toBe(1);
        expect(await engine.find(run.id)).toBeUndefined();
        expect(await engine.submit('echo', 1, key)).toBe(again);
        await engine.close();
      });

      it('of a run that was cancelled gives that run', async () => {
        const { engine, gate } = start();
        gate('gate');
        const key = { owner: 'ann', idempotencyKey: 'k' };
        const run = await engine.submit('gate', 1, key);
        await run.cancel();
        expect(await engine.submit('gate', 1, key)).toBe(run);
        await engine.close();
      });
    });

    describe('what is kept', () => {
      it('is bounded in number, the oldest go first', async () => {
        const { engine, register } = start({ maxKept: 2 });
        register({ name: 'note' });
        const runs = await Promise.all([1, 2, 3].map((n) => engine.submit('note', n)));
        await settled(runs);
        const found = await Promise.all(runs.map(({ id }) => engine.find(id)));
        expect(found.map((run, at) => run === runs[at])).toEqual([false, true, true]);
        await engine.close();
      });
    });

    describe('a task that is unregistered', () => {
      it('is unknown, and those that wait are cancelled', async () => {
        const { engine, gate, register } = start({ mainConcurrency: 1, unregisterGraceMs: 20 });
        const { release } = gate('gate');
        const undo = register({ name: 'note' });
        const first = await engine.submit('gate', 1);
        const waits = await engine.submit('note', 1);
        await undo();
        expect(await rejection(waits.result)).toMatchObject({ code: 'TASK_CANCELLED' });
        await expect(engine.submit('note', 1)).rejects.toThrow(
          expect.objectContaining({ code: 'TASK_UNKNOWN' }),
        );
        expect(engine.countsOf('note')).toBeUndefined();
        release();
        await first.result;
        await engine.close();
      });

      it('lets those that run end', async () => {
        const { engine, register } = start({ unregisterGraceMs: 10_000 });
        const { promise, resolve } = deferred<string>();
        const undo = register({ name: 'slow', run: () => promise } as never);
        const run = await engine.submit('slow', 1);
        const undone = undo();
        resolve('done');
        expect(await run.result).toBe('done');
        await undone;
        await engine.close();
      });

      it('cancels those that go on for too long', async () => {
        const { engine, module, tasks } = start({ unregisterGraceMs: 10 });
        const undo = module('until-stopped');
        const run = await engine.submit('until-stopped', 1);
        for await (const _ of run.updates()) break;
        await undo();
        expect(run.state).toBe('cancelled');
        // The name is free for another one.
        expect(tasks.find('until-stopped')).toBeUndefined();
        module('until-stopped');
        await engine.close();
      });

      it('is not tried again', async () => {
        const { engine, register } = start();
        const { promise, reject } = deferred();
        const retries = { max: 5, baseMs: 1 };
        const undo = register({ name: 'slow', retries, run: () => promise } as never);
        const run = await engine.submit('slow', 1);
        const undone = undo();
        reject(new Error('no'));
        expect(await rejection(run.result)).toMatchObject({ code: 'TASK_FAILED' });
        expect(run.attempts).toBe(1);
        await undone;
        await engine.close();
      });

      it('refuses a module that does not exist', async () => {
        const { engine, module } = start();
        expect(() => module('nowhere')).toThrow(/nowhere.mjs" does not exist/);
        await expect(engine.submit('nowhere', 1)).rejects.toThrow(
          expect.objectContaining({ code: 'TASK_UNKNOWN' }),
        );
        await engine.close();
      });
    });

    describe('the end', () => {
      it('lets running and waiting ones finish until the deadline', async () => {
        const { engine, gate, module } = start({ mainConcurrency: 1 });
        const { release } = gate('gate');
        module('echo');
        const runs = [await engine.submit('gate', 1), await engine.submit('gate', 2)];
        const drained = engine.drain(new AbortController().signal);
        await expect(engine.submit('gate', 3)).rejects.toThrow(
          expect.objectContaining({ code: 'SHUTTING_DOWN', retryAfterMs: expect.any(Number) }),
        );
        // What runs may need it.
        const part = await engine.submit('echo', 'part', { isPart: true });
        expect(await part.result).toBe('part');
        for (const run of runs) {
          release();
          await run.result;
        }
        await drained;
        expect(engine.stats).toMatchObject({ succeeded: 3, rejected: 1 });
        await engine.close();
        await expect(engine.submit('echo', 'late', { isPart: true })).rejects.toThrow(
          expect.objectContaining({ code: 'SHUTTING_DOWN' }),
        );
      });

      const what = isShared
        ? 'cancels what runs at the deadline, and leaves what waits to others'
        : 'cancels what is left at the deadline: running, waiting and delayed';
      it(what, async () => {
        const { engine, module, gate, balanced } = start({ mainConcurrency: 1 });
        gate('gate');
        module('until-stopped');
        const runs = [
          await engine.submit('gate', 1),
          await engine.submit('gate', 2),
          await engine.submit('gate', 3, { delayMs: 60_000 }),
          await engine.submit('until-stopped', null),
        ];
        for await (const _ of runs.at(-1)?.updates() ?? []) break;
        await engine.drain(AbortSignal.abort());
        const [waiting, delayed] = isShared ? ['queued', 'delayed'] : ['cancelled', 'cancelled'];
        expect(runs.map(({ state }) => state)).toEqual(['cancelled', waiting, delayed, 'cancelled']);
        expect(balanced()).toBe(true);
        const [, left] = runs.map(({ result }) => rejection(result));
        await engine.close();
        expect(await left).toMatchObject({ code: isShared ? 'SHUTTING_DOWN' : 'TASK_CANCELLED' });
      });

      it('refuses everything from then on, and still knows its figures', async () => {
        const { engine, module } = start();
        module('echo');
        await (await engine.submit('echo', 1)).result;
        await engine.close();
        await expect(engine.submit('echo', 1)).rejects.toThrow(
          expect.objectContaining({ code: 'SHUTTING_DOWN' }),
        );
        expect(engine.stats).toMatchObject({
          submitted: 2,
          succeeded: 1,
          rejected: 1,
          waiting: 0,
          running: 0,
        });
        await engine.close();
      });
    });

    describe('a place', () => {
      const cancelled = expect.objectContaining({ code: 'TASK_CANCELLED' });

      it('is given at once while the lane is free, and counts as a run until its release', async () => {
        const { engine, register, log, balanced } = start();
        register({ name: 'place' });
        const release = await engine.admit('place');
        const running = { submitted: 1, running: 1, waiting: 0 };
        expect(engine.stats).toMatchObject(running);
        expect(engine.countsOf('place')).toMatchObject(running);
        release();
        expect(engine.stats).toMatchObject({ submitted: 1, succeeded: 1, running: 0 });
        expect(engine.countsOf('place')).toMatchObject({ succeeded: 1, running: 0 });
        expect(log).toEqual(['queued place', 'started place', 'succeeded place']);
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it.each([
        ['a code of the catalogue', new WaggleError('STREAM_GONE', { streamId: 'x' }), 'STREAM_GONE'],
        ['any other error', new Error('no'), 'TASK_FAILED'],
        ['something that is no error', 'no', 'TASK_FAILED'],
      ])('released with %s has failed, without a retry', async (_, failure, code) => {
        const { engine, register, bus, log } = start();
        register({ name: 'place', retries: { max: 3 } });
        const codes: string[] = [];
        bus.on('task:failed', (event) => void codes.push(event.code));
        const release = await engine.admit('place');
        release(failure);
        expect(codes).toEqual([code]);
        expect(log).toEqual(['queued place', 'started place', 'failed place']);
        expect(engine.stats).toMatchObject({ failed: 1, waiting: 0, running: 0 });
        expect(await engine.deadLetters()).toEqual([]);
        await engine.close();
      });

      it('released twice is free once', async () => {
        const { engine, register, balanced } = start({ mainConcurrency: 1 });
        register({ name: 'place' });
        const first = await engine.admit('place');
        const [second, third] = [engine.admit('place'), engine.admit('place')];
        first();
        first(new Error('no'));
        expect(engine.stats).toMatchObject({ succeeded: 1, failed: 0, running: 1, waiting: 1 });
        (await second)();
        (await third)();
        expect(engine.stats).toMatchObject({ succeeded: 3, running: 0 });
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it(`comes by priority, then first in, first out${isShared ? '' : ', in one order with runs'}`, async () => {
        const { engine, register } = start({ mainConcurrency: 1 });
        const order: string[] = [];
        register({ name: 'place' });
        register({ name: 'note', run: async (n: string) => void order.push(n) } as never);
        const held = await engine.admit('place');
        const admit = async (name: string, priority: TaskPriority) => {
          const release = await engine.admit('place', { priority });
          order.push(name);
          release();
        };
        const all = [
          admit('low', 'low'),
          ...(isShared ? [] : [(await engine.submit('note', 'run', { priority: 'normal' })).result]),
          admit('second', 'normal'),
          admit('high', 'high'),
        ];
        expect(engine.stats.queued).toMatchObject({ low: 1, normal: isShared ? 1 : 2, high: 1 });
        held();
        await Promise.all(all);
        expect(order).toEqual(['high', ...(isShared ? [] : ['run']), 'second', 'low']);
        await engine.close();
      });

      it('is asked for no more urgently than the config allows', async () => {
        const { engine, register, bus } = start({ maxPriority: 'normal' });
        register({ name: 'place' });
        const priorities: TaskPriority[] = [];
        bus.on('task:queued', ({ priority }) => void priorities.push(priority));
        (await engine.admit('place', { priority: 'urgent' }))();
        expect(priorities).toEqual(['normal']);
        await engine.close();
      });

      it('takes room from runs of the main lane, and from its own task alone where that has a limit', async () => {
        const { engine, register } = start({ mainConcurrency: 2 });
        register({ name: 'place', concurrency: 1 });
        register({ name: 'note' });
        const first = await engine.admit('place');
        const second = engine.admit('place');
        expect(await (await engine.submit('note', 1)).result).toBe(1);
        register({ name: 'other' });
        const other = await engine.admit('other');
        const note = await engine.submit('note', 2);
        expect(engine.stats).toMatchObject({ running: 2, waiting: 2 });
        other();
        expect(await note.result).toBe(2);
        expect(engine.countsOf('place')).toMatchObject({ running: 1, waiting: 1 });
        first();
        (await second)();
        await engine.close();
      });

      it.each<[string, string, string, EngineLimits]>([
        ['the line is full', 'place', 'QUEUE_FULL', { queueLimit: 0 }],
        ['its task has no more room', 'short', 'QUEUE_FULL', {}],
        ['its task is unknown', 'nobody', 'TASK_UNKNOWN', {}],
        ['its task is one of the worker lane', 'echo', 'INVALID_REQUEST', {}],
      ])('is refused at once when %s', async (_, task, code, more) => {
        const { engine, register, module, log, balanced } = start({ mainConcurrency: 1, ...more });
        register({ name: 'place' });
        register({ name: 'short', maxQueued: 0 });
        module('echo');
        const held = await engine.admit('place');
        expect(() => engine.admit(task)).toThrow(expect.objectContaining({ code }));
        expect(log.at(-1)).toBe(`rejected ${task}`);
        expect(engine.stats).toMatchObject({ submitted: 2, rejected: 1, running: 1 });
        held();
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it('is not given when its signal has aborted before', async () => {
        const { engine, register, log } = start();
        register({ name: 'place' });
        await expect(engine.admit('place', { signal: AbortSignal.abort() })).rejects.toEqual(cancelled);
        expect(log).toEqual(['queued place', 'cancelled place']);
        await engine.close();
      });

      it('is not given when its signal aborts while it waits, and the line closes up', async () => {
        const { engine, register, log, balanced } = start({ mainConcurrency: 1 });
        register({ name: 'place' });
        const held = await engine.admit('place');
        const { signal, abort } = aborting();
        const [second, third] = [engine.admit('place', { signal }), engine.admit('place')];
        abort();
        expect(engine.stats).toMatchObject({ cancelled: 1, waiting: 1, running: 1 });
        await expect(second).rejects.toEqual(cancelled);
        held();
        (await third)();
        expect(log.filter((line) => line.startsWith('started'))).toHaveLength(2);
        expect(balanced()).toBe(true);
        await engine.close();
      });

      it('is held until its release when its signal aborts later, and then counts as cancelled', async () => {
        const { engine, register, log } = start({ mainConcurrency: 1, cancelGraceMs: 1 });
        register({ name: 'place' });
        const { signal, abort } = aborting();
        const release = await engine.admit('place', { signal });
        abort();
        const next = engine.admit('place');
        expect(engine.stats).toMatchObject({ running: 1, waiting: 1 });
        release(new Error('no'));
        expect(engine.stats).toMatchObject({ cancelled: 1, failed: 0, running: 1 });
        expect(log.at(-2)).toBe('cancelled place');
        (await next)();
        await engine.close();
      });

      it.each(['given', 'aborted'])('that was waited for and is %s leaves no listener', async (how) => {
        const { engine, register } = start({ mainConcurrency: 1 });
        register({ name: 'place' });
        const { signal, abort } = aborting();
        const atOnce = await engine.admit('place', { signal });
        const later = engine.admit('place', { signal });
        expect(getEventListeners(signal, 'abort')).toHaveLength(1);
        if (how === 'given') atOnce();
        else abort();
        await later.then((release) => release()).catch(() => {});
        expect(getEventListeners(signal, 'abort')).toEqual([]);
        await engine.close();
      });

      it('tells how many are ahead', async () => {
        const { engine, register } = start({ mainConcurrency: 1 });
        register({ name: 'place' });
        const held = await engine.admit('place');
        const told: number[] = [];
        const [one, none] = [deferred(), deferred()];
        const before = engine.admit('place');
        const last = engine.admit('place', {
          onQueued: (ahead) => {
            told.push(ahead);
            (ahead === 1 ? one : none).resolve();
          },
        });
        await one.promise;
        held();
        await none.promise;
        (await before)();
        (await last)();
        expect(told).toEqual([1, 0]);
        await engine.close();
      });

      it('may be released, and waited for, until the deadline of the end', async () => {
        const { engine, register } = start({ mainConcurrency: 1 });
        register({ name: 'place' });
        const held = await engine.admit('place');
        const waits = engine.admit('place');
        const drained = engine.drain(new AbortController().signal);
        expect(() => engine.admit('place')).toThrow(expect.objectContaining({ code: 'SHUTTING_DOWN' }));
        held();
        (await waits)();
        await drained;
        expect(engine.stats).toMatchObject({ succeeded: 2, rejected: 1 });
        await engine.close();
      });

      it('has to be released at the deadline of the end, and no other is given', async () => {
        const { engine, register, balanced } = start({ mainConcurrency: 1, cancelGraceMs: 60_000 });
        register({ name: 'place' });
        let stops = 0;
        const release: Release = await engine.admit('place', {
          onStop: () => {
            stops++;
            setImmediate(release);
          },
        });
        const waits = rejection(engine.admit('place', { onStop: () => stops++ }));
        await Promise.all([engine.drain(AbortSignal.abort()), engine.close()]);
        expect(await waits).toEqual(cancelled);
        expect(stops).toBe(1);
        expect(engine.stats).toMatchObject({ cancelled: 2, running: 0, waiting: 0 });
        expect(balanced()).toBe(true);
      });

      it.each<[string, () => void]>([
        ['ignores', () => {}],
        [
          'fails on',
          () => {
            throw new Error('no');
          },
        ],
      ])('is taken back from an owner that %s the stop', async (how, onStop) => {
        const { engine, register, lines } = start({ cancelGraceMs: 5 });
        register({ name: 'place' });
        const release = await engine.admit('place', { onStop });
        await engine.close();
        release();
        expect(engine.stats).toMatchObject({ cancelled: 1, succeeded: 0, running: 0 });
        expect(lines.filter(({ level }) => level === 'error')).toHaveLength(how === 'ignores' ? 0 : 1);
      });

      it('is lost when its task is unregistered: at once while it waits, after the grace period while it is held', async () => {
        const { engine, register } = start({ mainConcurrency: 1, unregisterGraceMs: 5 });
        const undo = register({ name: 'place' });
        const release: Release = await engine.admit('place', { onStop: () => release() });
        const waits = rejection(engine.admit('place'));
        await undo();
        expect(await waits).toEqual(cancelled);
        expect(engine.stats).toMatchObject({ cancelled: 2, running: 0, waiting: 0 });
        await engine.close();
      });

      it('is never held by more than the limits allow, and the counts balance, in any order', async () => {
        const step = fc.record({
          act: fc.constantFrom('admit', 'admit', 'submit', 'release', 'release', 'abort', 'turn'),
          which: fc.nat(),
          priority: fc.constantFrom(...taskPriorities),
        });
        await fc.assert(
          fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
            const { engine, register, gate, balanced } = start({ mainConcurrency: 3, queueLimit: 5 });
            const { releaseAll } = gate('gate');
            register({ name: 'place', concurrency: 2 });
            const held = new Set<Release>();
            const asked: { readonly abort: () => void; readonly over: Promise<void> }[] = [];
            const admit = (priority: TaskPriority) => {
              const { signal, abort } = aborting();
              const place = engine.admit('place', { priority, signal });
              const over = place.then(
                (release) => void held.add(release),
                (error) => expect(error).toEqual(cancelled),
              );
              asked.push({ abort, over });
            };
            const releaseOne = () => {
              const [release] = held;
              if (release) held.delete(release);
              release?.();
            };
            for (const { act, which, priority } of steps) {
              try {
                if (act === 'admit') admit(priority);
                if (act === 'submit') await engine.submit('gate', 1, { priority });
              } catch (error) {
                expect(error).toMatchObject({ code: 'QUEUE_FULL' });
              }
              if (act === 'release') releaseOne();
              if (act === 'abort') asked[which % asked.length]?.abort();
              if (act === 'turn') await new Promise(setImmediate);
              expect(held.size).toBeLessThanOrEqual(2);
              expect(engine.stats.running).toBeLessThanOrEqual(3);
              expect(balanced()).toBe(true);
            }
            while (engine.stats.running + engine.stats.waiting > 0) {
              releaseAll();
              releaseOne();
              await new Promise(setImmediate);
            }
            await Promise.all(asked.map(({ over }) => over));
            expect(balanced()).toBe(true);
            await engine.close();
          }),
          { numRuns: 50 },
        );
      });
    });

    it('the books balance whatever is done in whatever order', async () => {
      const step = fc.record({
        task: fc.constantFrom('gate', 'fails', 'echo', 'nobody'),
        priority: fc.constantFrom(...taskPriorities),
        delayMs: fc.constantFrom(0, 0, 1),
        next: fc.constantFrom('nothing', 'cancel', 'cancel twice', 'release', 'turn'),
        key: fc.constantFrom(undefined, undefined, 'k'),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          const { engine, gate, module, balanced } = start({
            mainConcurrency: 2,
            queueLimit: 5,
            maxPriority: 'urgent',
          });
          const { release, releaseAll } = gate('gate');
          module('echo');
          module('fails', { retries: { max: 1, baseMs: 1 } });
          const runs = new Set<TaskRun>();
          let refused = 0;
          for (const { task, priority, delayMs, next, key } of steps) {
            let run: TaskRun | undefined;
            try {
              run = await engine.submit(task, { how: 'throw' }, { priority, delayMs, idempotencyKey: key });
              runs.add(run);
            } catch {
              refused++;
            }
            if (next.startsWith('cancel')) void run?.cancel();
            if (next === 'cancel twice') void run?.cancel();
            if (next === 'release') release();
            if (next === 'turn') await new Promise((resolve) => setImmediate(resolve));
            expect(balanced()).toBe(true);
          }
          const all = settled([...runs]);
          const releasing = setInterval(releaseAll, 1);
          const outcomes = await all;
          clearInterval(releasing);
          expect(engine.stats).toMatchObject({
            submitted: runs.size + refused,
            rejected: refused,
            waiting: 0,
            running: 0,
            delayed: 0,
            queued: { low: 0, normal: 0, high: 0, urgent: 0 },
            succeeded: outcomes.filter(({ status }) => status === 'fulfilled').length,
          });
          expect(balanced()).toBe(true);
          await engine.close();
        }),
        { numRuns: times(25) },
      );
    });
  });
}
