import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TaskDefinition, TaskRun } from '#kernel';
import { createEngine } from '../../support/engine.js';
import { deferred, rejection, tempFolder } from '../../support/kernel.js';
import { type LeakCheck, leakCheck } from '../../support/leaks.js';
import { times } from '../../support/thorough.js';

const fixtures = new URL('../../fixtures/', import.meta.url);
const barePool = fileURLToPath(new URL('bare-pool/faults.mjs', fixtures));
const task = (name: string): URL => new URL(`tasks/${name}.mjs`, fixtures);

/** What tinypool alone does, in a process that it may take down: what it said, and its exit code. */
function bare(fault: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, [barePool, fault], { timeout: 20_000 }, (error, stdout) =>
      resolve(`${stdout.trim().replaceAll('\n', '; ')}${error ? `; exit ${error.code}` : ''}`),
    );
  });
}

/** Threads of this process as they come. */
function watchThreads(): { readonly all: Worker[]; stop(): void } {
  const all: Worker[] = [];
  const added = (worker: Worker) => void all.push(worker);
  process.on('worker', added);
  return { all, stop: () => process.off('worker', added) };
}

let leaks: LeakCheck;
let threads: ReturnType<typeof watchThreads>;
let made: ReturnType<typeof createEngine>;
beforeEach(() => {
  leaks = leakCheck();
  threads = watchThreads();
});
afterEach(async () => {
  const { submitted, succeeded, failed, cancelled, rejected } = made.engine.stats;
  await made.engine.close();
  threads.stop();
  await leaks.settled();
  expect(submitted).toBe(succeeded + failed + cancelled + rejected);
});

function start(limits: Parameters<typeof createEngine>[0] = {}) {
  made = createEngine({ workers: 1, ...limits });
  const { engine, tasks } = made;
  const register = (name: string, more: Partial<TaskDefinition> = {}, module = task(name)) =>
    tasks.add({ name, lane: 'worker', module, ...more } as TaskDefinition, 'test');
  for (const name of ['echo', 'kills', 'thread']) register(name);
  /** The pool goes on. */
  const serves = async () => expect(await (await engine.submit('echo', 'next')).result).toBe('next');
  return { ...made, register, serves };
}

async function begun(run: TaskRun): Promise<void> {
  for await (const _ of run.updates()) break;
}

it('threads start with the first task that runs on one', async () => {
  made = createEngine({ workers: 2 });
  const { engine, tasks } = made;
  tasks.add({ name: 'waits', lane: 'main', run: (input) => input }, 'test');
  expect(await (await engine.submit('waits', 1)).result).toBe(1);
  expect(threads.all).toHaveLength(0);
  tasks.add({ name: 'echo', lane: 'worker', module: task('echo') }, 'test');
  expect(await (await engine.submit('echo', 2)).result).toBe(2);
  expect(threads.all).toHaveLength(2);
});

describe('a task that calls process.exit', () => {
  it('takes tinypool along', async () => {
    expect(await bare('exit')).toBe(
      'the task never settles; the next one never settles; destroy never settles',
    );
    start();
  });

  it.each(['exit', 'exit in a timer'])('is one crashed task to the engine: %s', async (how) => {
    const { engine, serves, bus } = start();
    const lost: string[] = [];
    bus.on('worker:lost', ({ reason }) => void lost.push(reason));
    expect(await rejection((await engine.submit('kills', { how })).result)).toMatchObject({
      code: 'TASK_CRASHED',
    });
    await serves();
    expect(lost).toEqual([expect.stringContaining('process.exit(')]);
    expect(engine.stats.workers).toEqual({ alive: 1, busy: 0, lost: 1 });
    expect(await engine.deadLetters()).toMatchObject([{ name: 'kills', code: 'TASK_CRASHED' }]);
  });

  it('every time is tried so often and no more, while others are served', async () => {
    const { engine, register, serves } = start();
    register('poison', { retries: { max: 2, baseMs: 1 } }, task('kills'));
    const poison = await engine.submit('poison', { how: 'exit' });
    const others = await Promise.all([1, 2, 3].map((n) => engine.submit('echo', n)));
    expect(await Promise.all(others.map((run) => run.result))).toEqual([1, 2, 3]);
    await rejection(poison.result);
    expect(await engine.deadLetters()).toMatchObject([
      { taskId: poison.id, attempts: 3, code: 'TASK_CRASHED' },
    ]);
    await serves();
  });
});

describe('a task that loops for ever', () => {
  it('burns a core for ever in tinypool with teardown', async () => {
    expect(await bare('endless loop')).toBe('the thread never ends');
    start();
  });

  it('is ended by the engine at its time limit, thread and all', async () => {
    const { engine, register, serves } = start({ cancelGraceMs: 20 });
    register('loop', { timeoutMs: 100 });
    await (await engine.submit('thread', null)).result;
    const [worker] = threads.all as [Worker];
    const ended = once(worker, 'exit');
    const run = await engine.submit('loop', null);
    expect(await rejection(run.result)).toMatchObject({ code: 'TASK_TIMEOUT' });
    await ended;
    await serves();
  });

  it('is ended by a cancel', async () => {
    const { engine, register, serves } = start({ cancelGraceMs: 20 });
    register('loop');
    const run = await engine.submit('loop', null);
    await begun(run);
    expect(await run.cancel()).toBe(true);
    await serves();
  });

  it('may look whether it is to stop, and keeps its thread then', async () => {
    const { engine, register } = start({ cancelGraceMs: 10_000 });
    register('loop-until-stopped');
    const { threadId } = (await (await engine.submit('thread', null)).result) as { threadId: number };
    const run = await engine.submit('loop-until-stopped', null);
    await begun(run);
    expect(await run.cancel()).toBe(true);
    expect(await (await engine.submit('thread', null)).result).toEqual({ threadId, runs: 2 });
    expect(engine.stats.workers.lost).toBe(0);
  });
});

describe('a module that cannot be loaded', () => {
  it('stops tinypool from serving anything else', async () => {
    expect(await bare('failing module')).toBe('a good task never settles');
    start();
  });

  it.each(['broken', 'no-function'])('is one failed task to the engine: %s', async (name) => {
    const { engine, register, serves } = start();
    register(name);
    const error = await rejection((await engine.submit(name, null)).result);
    expect(error).toMatchObject({
      code: 'TASK_FAILED',
      message: expect.stringContaining('cannot be loaded'),
    });
    expect((error.cause as Error).message).toMatch(/throws while it is loaded|not a function/);
    await serves();
    // A flood of it costs no thread each.
    const { length } = threads.all;
    await Promise.all([1, 2, 3].map(async () => rejection((await engine.submit(name, null)).result)));
    expect(threads.all.length).toBe(length);
    await serves();
  });

  it('works as soon as it is mended', async () => {
    const { engine, register } = start();
    const folder = tempFolder();
    const file = folder.write('mended.mjs', 'import "./part.mjs"; export default () => "fine";');
    folder.write('part.mjs', 'throw new Error("broken");');
    register('mended', {}, pathToFileURL(file));
    await rejection((await engine.submit('mended', null)).result);
    writeFileSync(`${folder.path}/part.mjs`, '');
    let output: unknown;
    while (output === undefined)
      output = await (await engine.submit('mended', null)).result.catch(
        () => new Promise((go) => setTimeout(go, 50)),
      );
    expect(output).toBe('fine');
  });

  it('is one failed task also when its file is gone', async () => {
    const { engine, register, serves } = start();
    const file = tempFolder().write('gone.mjs', 'export default () => 1;');
    register('gone', {}, pathToFileURL(file));
    rmSync(file);
    expect(await rejection((await engine.submit('gone', null)).result)).toMatchObject({
      code: 'TASK_FAILED',
    });
    await serves();
  });
});

describe('a task that needs too much memory', () => {
  it('is one failed task with a code of its own', async () => {
    const { engine, serves } = start({ workerMemoryMb: 32 });
    expect(await rejection((await engine.submit('kills', { how: 'out of memory' })).result)).toMatchObject({
      code: 'TASK_OUT_OF_MEMORY',
    });
    await serves();
    expect(await engine.deadLetters()).toMatchObject([{ code: 'TASK_OUT_OF_MEMORY' }]);
  });
});

describe('an abort', () => {
  it('of a refused or parked task takes the process of tinypool down', async () => {
    expect(await bare('full queue and abort')).toBe('uncaught: ERR_ASSERTION; exit 1');
    expect(await bare('abort of a parked task')).toBe('uncaught: ERR_ASSERTION; exit 1');
    start();
  });

  it('of a running task costs tinypool its thread', async () => {
    expect(await bare('abort of a running task')).toBe('the thread is ended');
    start();
  });

  it('of a queued, running or refused task is one outcome each to the engine, and costs no thread', async () => {
    const { engine, register, serves } = start({ queueLimit: 1 });
    register('until-stopped');
    // The thread is there.
    await serves();
    const running = await engine.submit('until-stopped', null);
    await begun(running);
    const queued = await engine.submit('echo', 1);
    await expect(engine.submit('echo', 2)).rejects.toThrow(expect.objectContaining({ code: 'QUEUE_FULL' }));
    expect(await queued.cancel()).toBe(true);
    expect(await running.cancel()).toBe(true);
    await serves();
    expect(threads.all).toHaveLength(1);
    expect(engine.stats).toMatchObject({ cancelled: 2, rejected: 1, workers: { lost: 0 } });
  });
});

describe('the death of all threads with a full queue', () => {
  it('is the end of tinypool', async () => {
    expect(await bare('all threads dead')).toBe('those that wait: never settles');
    start();
  });

  it('is survived by the engine, and everything that waits is served', async () => {
    const { engine } = start({ workers: 2, queueLimit: 10 });
    const kills = await Promise.all([1, 2].map(() => engine.submit('kills', { how: 'exit' })));
    const waiting: TaskRun[] = [];
    const fill = async () => {
      for (;;) waiting.push(await engine.submit('echo', waiting.length));
    };
    await expect(fill()).rejects.toThrow(expect.objectContaining({ code: 'QUEUE_FULL' }));
    for (const run of kills) expect(await rejection(run.result)).toMatchObject({ code: 'TASK_CRASHED' });
    expect(await Promise.all(waiting.map((run) => run.result))).toEqual(waiting.map((_, index) => index));
    expect(engine.stats.workers).toMatchObject({ busy: 0, lost: 2 });
  });
});

describe('an error that nobody caught', () => {
  it('of an earlier task fails the next one in tinypool', async () => {
    expect(await bare('floating rejection of an earlier task')).toBe('the next task fails: late');
    start();
  });

  it('of an earlier task is a line in the log of the engine', async () => {
    const { engine, register, lines } = start();
    register('short');
    await (await engine.submit('kills', { how: 'leave an error behind' })).result;
    expect(await (await engine.submit('short', null)).result).toBe('done');
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        task: 'kills',
        err: expect.objectContaining({ message: 'late' }),
      }),
    );
    expect(engine.stats.workers.lost).toBe(0);
  });

  it.each(['throw in a timer', 'floating rejection'])('fails the task that it is of: %s', async (how) => {
    const { engine, serves } = start();
    const error = await rejection((await engine.submit('kills', { how })).result);
    expect(error).toMatchObject({ code: 'TASK_CRASHED', message: expect.stringContaining('nobody caught') });
    expect((error.cause as Error).message).toMatch(/from a timer|floating/);
    await serves();
    expect(engine.stats.workers.lost).toBe(1);
  });
});

describe('what a task says after its end', () => {
  it('is nobody else’s', async () => {
    const { engine, register, lines, serves } = start();
    for (const name of ['logs-late', 'short']) register(name);
    await (await engine.submit('logs-late', null)).result;
    const next = await engine.submit('short', null);
    expect(await next.result).toBe('done');
    expect(next.progress).toBeUndefined();
    expect(lines.filter((line) => line.msg === 'too late')).toEqual([]);
    await (await engine.submit('logs-late', null)).result;
    // Nobody runs when it comes.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await serves();
    expect(engine.stats.workers.lost).toBe(0);
  });
});

describe('what cannot be copied', () => {
  it('comes as something that is no error from tinypool', async () => {
    expect(await bare('result that cannot be copied')).toBe('an error: false');
    start();
  });

  it('is one failed task to the engine: a result or an input', async () => {
    const { engine, serves } = start();
    expect(
      await rejection((await engine.submit('kills', { how: 'result that cannot be copied' })).result),
    ).toMatchObject({
      code: 'TASK_FAILED',
      message: expect.stringContaining('result cannot be copied'),
    });
    expect(await rejection((await engine.submit('echo', () => {})).result)).toMatchObject({
      code: 'TASK_FAILED',
      message: expect.stringContaining('input cannot be copied'),
    });
    await serves();
    expect(engine.stats.workers.lost).toBe(0);
  });
});

describe('after the end', () => {
  it('tinypool starts threads without complaint', async () => {
    expect(await bare('run after destroy')).toBe('a new thread: settled');
    start();
  });

  it('the engine refuses and starts none', async () => {
    const { engine, serves } = start();
    await serves();
    await engine.close();
    const { length } = threads.all;
    await expect(engine.submit('echo', 1)).rejects.toThrow(
      expect.objectContaining({ code: 'SHUTTING_DOWN' }),
    );
    expect(threads.all.length).toBe(length);
  });

  it('of an engine whose threads have just died, nothing is left and nothing is waited for', async () => {
    const { engine } = start({ workers: 2 });
    const runs = await Promise.all([1, 2].map(() => engine.submit('kills', { how: 'exit' })));
    await Promise.all(runs.map((run) => rejection(run.result)));
    await engine.close();
  });
});

describe('code of a task that was unregistered', () => {
  it('lives on in no thread', async () => {
    const { engine, tasks, register } = start();
    const undo = register('mine', {}, task('thread'));
    const first = (await (await engine.submit('mine', null)).result) as { readonly threadId: number };
    await undo();
    expect(tasks.find('mine')).toBeUndefined();
    register('mine', {}, task('thread'));
    const second = (await (await engine.submit('mine', null)).result) as { readonly threadId: number };
    expect(second).toEqual({ threadId: expect.any(Number), runs: 1 });
    expect(second.threadId).not.toBe(first.threadId);
    expect(engine.stats.workers.lost).toBe(0);
  });
});

describe(`${times(100_000)} tiny tasks`, () => {
  it('are all accounted for, and memory stays flat', async () => {
    const { engine, tasks } = start({ workers: 2, queueLimit: 1000, maxKept: 100 });
    tasks.add({ name: 'tiny', lane: 'main', run: async (n: unknown) => n } as TaskDefinition, 'test');
    let sum = 0;
    const submitAll = async (name: string, count: number) => {
      const open = new Set<Promise<void>>();
      let ended = deferred();
      for (let n = 0; n < count; n++) {
        if (open.size >= 500) await ended.promise;
        ended = deferred();
        const done: Promise<void> = (await engine.submit(name, n)).result.then((output) => {
          sum += output as number;
          open.delete(done);
          ended.resolve();
        });
        open.add(done);
      }
      await Promise.all(open);
    };
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const heapMb = () => {
      collect();
      return process.memoryUsage().heapUsed / 1e6;
    };
    // Enough that the code is compiled and every list of ended runs is full.
    await submitAll('tiny', times(10_000));
    await submitAll('echo', times(5_000));
    const before = heapMb();
    sum = 0;
    const [tiny, echo] = [times(60_000), times(40_000)];
    await submitAll('tiny', tiny);
    await submitAll('echo', echo);
    expect(sum).toBe((tiny * (tiny - 1)) / 2 + (echo * (echo - 1)) / 2);
    expect(heapMb() - before).toBeLessThan(2);
    expect(engine.stats).toMatchObject({
      submitted: times(115_000),
      succeeded: times(115_000),
      waiting: 0,
      running: 0,
    });
  }, 60_000);
});
