import { describe, expect, it } from 'vitest';
import type { TaskDefinition } from '#kernel';
import { type Aside, AsideTask } from '../../../plugins/agent-queen/aside-task.js';
import { silentLogger } from '../../support/kernel.js';

interface Noted extends Aside {
  readonly note: string;
}

const aside = (conversationId: string, note = ''): Noted => ({
  ...{ agent: 'a', model: undefined, logger: silentLogger, principal: undefined, note },
  request: { id: note, userId: 'ann', conversationId },
});

/** An engine that runs what was submitted when it is told to. */
function start(refuse = () => false) {
  const queue: (() => Promise<void>)[] = [];
  const done: string[] = [];
  const signal = new AbortController().signal;
  const engine = {
    submit: async (_: string, input: { readonly conversationId: string }, { owner }: { owner: string }) => {
      if (refuse()) throw new Error('full');
      const result = new Promise((resolve, reject) => {
        queue.push(async () => {
          const { run } = task.definition as TaskDefinition & { run(input: unknown, call: unknown): unknown };
          const ran = Promise.resolve(run(input, { userId: owner, signal }));
          await ran.then(resolve, reject);
          await ran.catch((error: { readonly code: string }) => done.push(error.code));
        });
      });
      return { result };
    },
  };
  const task: AsideTask<Noted, null> = new AsideTask(engine as never, {
    ...{ name: 'aside', description: '', timeoutMs: 1000 },
    run: async ({ note }) => {
      done.push(note);
      return null;
    },
  });
  const run = async () => {
    for (const each of queue.splice(0)) await each();
  };
  return { task, run, done, waiting: () => queue.length };
}

describe('work after an answer', () => {
  it('is done once for each conversation, with the newest answer', async () => {
    const { task, run, done, waiting } = start();
    for (const note of ['1', '2', '3']) task.request(aside('a', note));
    task.request(aside('b', '4'));
    expect(waiting()).toBe(2);
    await run();
    expect(done).toEqual(['3', '4']);
    task.request(aside('a', '5'));
    await run();
    expect(done).toEqual(['3', '4', '5']);
  });

  it('that was refused is asked for again by the next answer', async () => {
    let isFull = true;
    const { task, run, done } = start(() => isFull);
    task.request(aside('a', '1'));
    await new Promise(setImmediate);
    isFull = false;
    task.request(aside('a', '2'));
    await run();
    expect(done).toEqual(['2']);
  });

  it('keeps no more answers than may wait, and none that is done', async () => {
    const { task, run, done, waiting } = start();
    for (let n = 0; n < 150; n++) task.request(aside(`${n}`, `${n}`));
    expect(waiting()).toBe(100);
    await run();
    for (let n = 0; n < 150; n++) task.request(aside(`${n}`, `${n}`));
    expect(waiting()).toBe(100);
    await run();
    expect(done).toHaveLength(200);
  });
});
