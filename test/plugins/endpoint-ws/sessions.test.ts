import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ChatStreams, Socket, TaskDefinition } from '#kernel';
import { Bus } from '../../../kernel/kernel-bus.js';
import { Registry } from '../../../kernel/registry.js';
import { RateLimit } from '../../../kernel/sdk/rate-limit.js';
import { config } from '../../../plugins/endpoint-ws/config.js';
import { Session } from '../../../plugins/endpoint-ws/session.js';
import { type SessionSettings, Sessions } from '../../../plugins/endpoint-ws/sessions.js';
import { createEngine } from '../../support/engine.js';
import { eventually } from '../../support/eventually.js';
import { deferred, recordingLogger, silentLogger } from '../../support/kernel.js';

/** A connection whose close is only asked for: a transport may report it much later. */
function socket(clientId: string): Socket & { readonly closedWith: number[] } {
  const closedWith: number[] = [];
  return {
    id: 'x',
    params: { client_id: clientId },
    remoteAddress: '127.0.0.1',
    closed: false,
    bufferedBytes: 0,
    send: () => true,
    drained: async () => true,
    close: (code) => void closedWith.push(code),
    closedWith,
  };
}

const noTasks = { engine: undefined, limits: undefined, tasks: new Registry<TaskDefinition>('task') };
const sessionsOver = (
  streams: ChatStreams,
  logger = silentLogger,
  work: Pick<SessionSettings, 'engine' | 'tasks' | 'limits'> = noTasks,
) =>
  new Sessions({
    transport: {},
    streams,
    ...work,
    config: config.parse({}),
    bus: new Bus(() => {}),
    logger,
  });

/** Collects garbage now. */
const collect = () => {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
};

it('a run that waits longer than its connection does not hold that', async () => {
  const { engine, tasks } = createEngine({ mainConcurrency: 1 });
  const hold = deferred();
  tasks.add({ name: 'long', lane: 'main', exposed: true, run: () => hold.promise }, 'test');
  const sessions = sessionsOver({} as ChatStreams, silentLogger, { ...noTasks, engine, tasks });
  const left = (() => {
    const connection = socket('me');
    const session = sessions.open(connection);
    for (let run = 0; run < 3; run++) void session.message('{"type":"task","task":"long"}');
    session.closed();
    return new WeakRef(connection);
  })();
  expect(engine.stats.waiting).toBe(2);
  await eventually(() => {
    collect();
    expect(left.deref() === undefined).toBe(true);
  });
  hold.resolve();
  await engine.drain(AbortSignal.timeout(1000));
});

describe('sessions', () => {
  it('keep the newest connection of a client, also when the close of an older one comes late', () => {
    const sessions = sessionsOver({} as ChatStreams);
    const [older, newer, newest] = [socket('me'), socket('me'), socket('me')];
    const first = sessions.open(older);
    sessions.open(newer);
    expect(older.closedWith).toEqual([4409]);
    first.closed();
    sessions.open(newest);
    expect(newer.closedWith).toEqual([4409]);
    expect(newest.closedWith).toEqual([]);
  });

  it('give up a whole answer whose client left while the frame was being checked', async () => {
    let signal: AbortSignal | undefined;
    const reply = {
      whole: (given: AbortSignal) => {
        signal = given;
        return Promise.reject(new Error('nobody waits'));
      },
    };
    const streams = { start: () => reply } as unknown as ChatStreams;
    const sessions = sessionsOver(streams);
    const leaving = { ...socket('me'), closed: false };
    const session = sessions.open(leaving);
    const handled = session.message('{"type":"message","content":"Hallo"}');
    leaving.closed = true;
    session.closed();
    await handled;
    expect(signal?.aborted).toBe(true);
  });

  it('count frames that are too large as frames', () => {
    const sessions = sessionsOver({} as ChatStreams);
    const flooding = socket('me');
    const session = sessions.open(flooding);
    for (let frame = 0; frame < 2000; frame++) session.tooLarge('{}', 1);
    expect(flooding.closedWith[0]).toBe(1008);
  });

  it('leave other clients alone', () => {
    const sessions = sessionsOver({} as ChatStreams);
    const [mine, yours] = [socket('me'), socket('you')];
    sessions.open(mine);
    sessions.open(yours);
    expect([...mine.closedWith, ...yours.closedWith]).toEqual([]);
  });
});

describe('clients that take one id from each other', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** So many connections come one after the other, each as soon as the one before the last is closed. */
  function fight(seconds: number, ids: readonly string[] = ['me']) {
    const { logger, lines } = recordingLogger();
    const sessions = sessionsOver({} as ChatStreams, logger);
    const closed: number[] = [];
    let opened = 0;
    const come = (id: string) => {
      opened++;
      let left = false;
      const session = sessions.open({
        ...socket(id),
        close: (code) => {
          if (left) return;
          left = true;
          closed.push(code);
          session.closed();
          setImmediate(() => come(id));
        },
      });
    };
    for (const id of ids) for (const _ of [1, 2]) come(id);
    vi.advanceTimersByTime(seconds * 1000);
    return { opened, closed, lines, sessions };
  }

  it('do that a few times a second', () => {
    const { opened, closed } = fight(60);
    expect(opened).toBeGreaterThan(60);
    expect(opened).toBeLessThan(60 * 5);
    expect(new Set(closed)).toEqual(new Set([4409]));
  });

  it('are one warning for many times', () => {
    const { lines } = fight(60);
    expect(lines).toMatchObject([
      { level: 'warn', clientId: 'me', takeovers: 4 },
      { level: 'warn', clientId: 'me', takeovers: 13 },
      { level: 'warn', clientId: 'me', takeovers: 103 },
    ]);
  });

  it('slow down nobody else', () => {
    const { sessions } = fight(1);
    const [mine, yours] = [socket('you'), socket('you')];
    sessions.open(mine);
    sessions.open(yours);
    expect(mine.closedWith).toEqual([4409]);
  });

  it('are forgotten after a while', () => {
    const sessions = sessionsOver({} as ChatStreams);
    for (let round = 0; round < 20; round++) {
      const [older, newer] = [socket('me'), socket('me')];
      sessions.open(older);
      vi.advanceTimersByTime(11_000);
      sessions.open(newer);
      expect(older.closedWith).toEqual([4409]);
      vi.advanceTimersByTime(11_000);
    }
  });

  it('are two at the most, and leave no timer behind', () => {
    const sessions = sessionsOver({} as ChatStreams);
    const sockets = Array.from({ length: 20 }, () => socket('me'));
    const all = sockets.map((each) => sessions.open(each));
    expect(sockets.filter(({ closedWith }) => closedWith.length === 0)).toHaveLength(2);
    for (const session of all) session.closed();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a drain', () => {
  it('is told to those who connect meanwhile, too', async () => {
    const sessions = sessionsOver({} as ChatStreams);
    await sessions.drain(new AbortController().signal, 1000);
    const sent: string[] = [];
    const late = { ...socket('late'), send: (text: string) => sent.push(text) > 0 };
    sessions.open(late);
    expect(sent.map((text) => JSON.parse(text))).toMatchObject([{ type: 'server_draining' }]);
  });

  /** Sessions that each wait for an answer, which ends one after the other; gives how often they were looked at. */
  async function looks(count: number, order: (ends: readonly (() => void)[]) => readonly (() => void)[]) {
    const ends: (() => void)[] = [];
    const reply = {
      conversationId: 'c',
      whole: () => new Promise<object>((end) => ends.push(() => end({}))),
    };
    const sessions = sessionsOver({ start: () => reply } as unknown as ChatStreams);
    const all = Array.from({ length: count }, (_, id) => sessions.open(socket(`c${id}`)));
    const handled = all.map((session) => session.message('{"type":"message","content":"x"}'));
    await new Promise(setImmediate);
    const look = vi.spyOn(Session.prototype, 'idle', 'get');
    const drained = sessions.drain(new AbortController().signal, 1000);
    for (const end of order(ends)) {
      end();
      await null;
    }
    await Promise.all(handled);
    await drained;
    const { length } = look.mock.calls;
    look.mockRestore();
    return length;
  }

  it.each([
    ['in order', (ends: readonly (() => void)[]) => ends],
    ['from the last one', (ends: readonly (() => void)[]) => [...ends].reverse()],
    [
      'all over',
      (ends: readonly (() => void)[]) =>
        ends.filter((_, at) => at % 2).concat(ends.filter((_, at) => at % 2 === 0)),
    ],
  ])('of four times as many sessions takes four times the work: they end %s', async (_, order) => {
    const [few, many] = [await looks(500, order), await looks(2000, order)];
    expect(few).toBeGreaterThan(0);
    expect(many / few).toBeLessThan(6);
  });

  it('waits for what begins while it waits', async () => {
    const ends: (() => void)[] = [];
    const reply = {
      conversationId: 'c',
      whole: () => new Promise<object>((end) => ends.push(() => end({}))),
    };
    const sessions = sessionsOver({ start: () => reply } as unknown as ChatStreams);
    const [first, second] = [sessions.open(socket('a')), sessions.open(socket('b'))];
    const ask = '{"type":"message","content":"x"}';
    let over = false;
    const asked = second.message(ask);
    const drained = sessions.drain(new AbortController().signal, 1000).then(() => {
      over = true;
    });
    await new Promise(setImmediate);
    const late = first.message(ask);
    ends[0]?.();
    await asked;
    await new Promise(setImmediate);
    expect(over).toBe(false);
    ends[1]?.();
    await late;
    await drained;
  });

  it('is over when those it waits for have left', async () => {
    const reply = { conversationId: 'c', whole: () => new Promise<object>(() => {}) };
    const sessions = sessionsOver({ start: () => reply } as unknown as ChatStreams);
    const session = sessions.open(socket('a'));
    void session.message('{"type":"message","content":"x"}');
    const drained = sessions.drain(new AbortController().signal, 1000);
    session.closed();
    await drained;
  });
});

describe('the rate limit', () => {
  it('allows ten seconds at once, then so much a second, and never saves up more', () => {
    const limit = new RateLimit(2, 0);
    const taken = (now: number) => {
      let count = 0;
      while (limit.take(now)) count++;
      return count;
    };
    expect(taken(0)).toBe(20);
    expect(taken(1000)).toBe(2);
    expect(taken(1400)).toBe(0);
    expect(taken(1500)).toBe(1);
    expect(taken(1_000_000)).toBe(20);
  });
});
