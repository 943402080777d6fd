import { describe, expect, it } from 'vitest';
import type { TaskCall, TaskDefinition } from '#kernel';
import { createEngine } from '../../support/engine.js';
import { deferred, never, rejection } from '../../support/kernel.js';

const long = 'x'.repeat(1000);

type Work = (input: unknown, call: TaskCall) => unknown;

function engineFor(run: Work, more: Partial<TaskDefinition> = {}) {
  const made = createEngine({ workers: 0, totalLimitChars: 2500 });
  made.tasks.add({ name: 'work', lane: 'main', run, ...more } as TaskDefinition, 'test');
  return made;
}

describe('what runs hold is bounded', () => {
  it.each<[what: string, input: unknown]>([
    ['a text', long],
    ['a text deep inside', { a: [{ b: long }] }],
    ['keys', { [long]: 1 }],
    ['many small values', Array.from({ length: 40 }, () => ({}))],
    ['bytes', new Uint8Array(2000)],
    ['a map', new Map([[long, 1]])],
  ])('inputs of those that wait and run: %s', async (_, input) => {
    const go = deferred();
    const { engine } = engineFor(() => go.promise, { concurrency: 1 });
    const runs = [await engine.submit('work', input)];
    const fill = async () => {
      for (;;) runs.push(await engine.submit('work', input));
    };
    await expect(fill()).rejects.toThrow(expect.objectContaining({ code: 'QUEUE_FULL', retryAfterMs: 1000 }));
    expect(runs.length).toBeLessThanOrEqual(2);
    go.resolve();
    await Promise.all(runs.map((run) => run.result));
    // What has ended makes room.
    await (await engine.submit('work', input)).result;
    expect(engine.stats).toMatchObject({ waiting: 0, running: 0 });
  });

  it.each<[what: string, Work]>([
    ['a result', () => long.repeat(3)],
    ['a result with much in it', () => Array.from({ length: 1000 }, () => 1)],
    ['partial results', (_, { partial }) => void [1, 2, 3].map(() => partial(long))],
    ['progress', (_, { progress }) => progress(long.repeat(3))],
  ])('%s that finds no room fails the run, and leaves room', async (_, run) => {
    const { engine, tasks } = engineFor(run);
    const failed = await rejection((await engine.submit('work', undefined)).result);
    expect(failed).toMatchObject({ code: 'TASK_FAILED' });
    tasks.add({ name: 'small', lane: 'main', run: () => long }, 'test');
    for (let round = 0; round < 5; round++) expect(await (await engine.submit('small', 1)).result).toBe(long);
  });

  it('progress counts once, however often it is told', async () => {
    const { engine } = engineFor((_, { progress }) => {
      for (let round = 0; round < 50; round++) progress(long);
      return 1;
    });
    expect(await (await engine.submit('work', undefined)).result).toBe(1);
  });

  it.each<[how: string, tell: (partial: TaskCall['partial'], progress: TaskCall['progress']) => void]>([
    ['partial results', (partial) => partial(long)],
    ['progress', (_, progress) => progress(long.repeat(3))],
  ])('a run that never ends is stopped when what it tells finds no room: %s', async (_, tell) => {
    const { engine } = engineFor((_, { partial, progress }) => {
      for (let round = 0; round < 3; round++) tell(partial, progress);
      return never();
    });
    expect(await rejection((await engine.submit('work', undefined)).result)).toMatchObject({
      code: 'TASK_FAILED',
    });
  });

  it('an error is kept without its cause, and a dead letter with a part of its text', async () => {
    const { engine } = engineFor(
      () => {
        throw new Error(long.repeat(10));
      },
      { retries: { max: 1, baseMs: 1 } },
    );
    const run = await engine.submit('work', undefined);
    expect(await rejection(run.result)).toMatchObject({ cause: { message: long.repeat(10) } });
    expect(run.error?.cause).toBeUndefined();
    expect((await engine.deadLetters()).map(({ reason }) => reason.length)).toEqual([1000]);
  });

  it('nothing of the options is kept', async () => {
    const { engine } = engineFor(() => 1);
    const run = await engine.submit('work', 1, { owner: 'ann', idempotencyKey: 'k', onQueued: () => {} });
    await run.result;
    expect(Object.keys((run as unknown as { options: object }).options)).toEqual([]);
    expect(await engine.submit('work', 1, { owner: 'ann', idempotencyKey: 'k' })).toBe(run);
  });
});
