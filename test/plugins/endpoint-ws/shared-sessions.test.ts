import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ChatStreams, Cluster, Reply, Socket, TaskDefinition } from '#kernel';
import { Bus } from '../../../kernel/kernel-bus.js';
import { Registry } from '../../../kernel/registry.js';
import { config } from '../../../plugins/endpoint-ws/config.js';
import { Sessions } from '../../../plugins/endpoint-ws/sessions.js';
import { FakeNodes } from '../../support/fake-nodes.js';
import { silentLogger } from '../../support/kernel.js';

let sockets = 0;

/** A connection that keeps what it is sent. */
function socket(clientId: string, userId?: string, close?: (code: number) => void) {
  const closedWith: number[] = [];
  const sent: { readonly type: string; readonly [field: string]: unknown }[] = [];
  const made: Socket = {
    id: `s${++sockets}`,
    params: { client_id: clientId },
    ...(userId !== undefined && { query: new URLSearchParams({ user_id: userId }) }),
    remoteAddress: '127.0.0.1',
    closed: false,
    bufferedBytes: 0,
    send: (text) => {
      for (const each of [text].flat()) sent.push(JSON.parse(each as string));
      return true;
    },
    drained: async () => true,
    close: (code) => {
      closedWith.push(code);
      close?.(code);
    },
  };
  const told = () => sent.filter(({ type }) => type === 'stream_available').map(({ streamId }) => streamId);
  return Object.assign(made, { closedWith, told, sent });
}

/** Running replies of one node. */
class Replies {
  readonly running: Reply[] = [];

  readonly streams = {
    sharedStats: {},
    find: async (streamId: string) => this.running.find((reply) => reply.streamId === streamId),
    runningOf: (userId: string) => this.running.filter((reply) => reply.userId === userId),
  } as unknown as ChatStreams;

  add(streamId: string, userId: string): void {
    const command = { userId, content: 'Hallo', clientId: 'asker' };
    const progress = { phase: 'streaming', agent: 'eliza', readers: 0 };
    this.running.push({ streamId, userId, conversationId: 'c', command, progress } as Reply);
  }
}

function sessionsOn(cluster: Cluster, streams = {} as ChatStreams): Sessions {
  return new Sessions({
    ...{ transport: {}, streams, engine: undefined, limits: undefined, cluster },
    tasks: new Registry<TaskDefinition>('task'),
    config: config.parse({}),
    bus: new Bus(() => {}),
    logger: silentLogger,
  });
}

let nodes: FakeNodes;

beforeEach(() => {
  vi.useFakeTimers();
  nodes = new FakeNodes();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets all messages under way arrive. */
const arrive = () => vi.advanceTimersByTimeAsync(0);

describe('a client', () => {
  it('has one connection over all nodes, the newest, also of those that come back', () => {
    const [a, b] = [sessionsOn(nodes.join('a')), sessionsOn(nodes.join('b'))];
    const [one, two, three, other] = [socket('me'), socket('me'), socket('me'), socket('me', 'you')];
    const first = a.open(one);
    b.open(other);
    expect(one.closedWith).toEqual([]);
    const second = b.open(two);
    expect([one.closedWith, two.closedWith]).toEqual([[4409], []]);
    first.closed();
    const third = a.open(three);
    second.closed();
    expect([two.closedWith, three.closedWith, other.closedWith]).toEqual([[4409], [], []]);
    expect(nodes.claims).toHaveLength(2);
    third.closed();
    expect(nodes.claims).toEqual(['["you","me"]']);
  });

  it('is taken over on one node as without others: once, and later when it repeats', () => {
    const a = sessionsOn(nodes.join('a'));
    const all = Array.from({ length: 6 }, () => socket('me'));
    const sessions = all.map((each) => a.open(each));
    expect(all.map(({ closedWith }) => closedWith)).toEqual([[4409], [4409], [4409], [4409], [], []]);
    vi.advanceTimersByTime(500);
    expect(all.map(({ closedWith }) => closedWith.length)).toEqual([1, 1, 1, 1, 1, 0]);
    for (const each of sessions) each.closed();
    expect([nodes.claims, vi.getTimerCount()]).toEqual([[], 0]);
  });

  it('that leaves for another node is closed at once, and once, when it comes back', () => {
    const [a, b] = [sessionsOn(nodes.join('a')), sessionsOn(nodes.join('b'))];
    const all = Array.from({ length: 4 }, () => socket('me'));
    for (const each of all) a.open(each);
    const leaving = all.at(-1);
    b.open(socket('me'));
    expect(leaving?.closedWith).toEqual([]);
    a.open(socket('me'));
    vi.advanceTimersByTime(1000);
    expect(leaving?.closedWith).toEqual([4409]);
  });

  it.each([2, 3])('cannot be fought for at full speed by %i on two nodes', (count) => {
    const on = [sessionsOn(nodes.join('a')), sessionsOn(nodes.join('b'))] as const;
    const closed: number[] = [];
    let opened = 0;
    const come = (place: number) => {
      opened++;
      let left = false;
      const leave = (code: number) => {
        if (left) return;
        left = true;
        closed.push(code);
        session.closed();
        setImmediate(() => come(place));
      };
      const session = (on[place % 2] as Sessions).open(socket('me', undefined, leave));
    };
    for (let place = 0; place < count; place++) come(place);
    vi.advanceTimersByTime(60_000);
    expect(opened).toBeGreaterThan(60);
    expect(opened).toBeLessThan(60 * 5 * (count - 1));
    expect(new Set(closed)).toEqual(new Set([4409]));
  });
});

describe('a connection', () => {
  it('hears of replies that begin on another node, and only those of its user', async () => {
    const replies = new Replies();
    const a = sessionsOn(nodes.join('a'), replies.streams);
    const b = sessionsOn(nodes.join('b'), new Replies().streams);
    const [mine, yours] = [socket('tab', 'me'), socket('tab', 'you')];
    b.open(mine);
    b.open(yours);
    replies.add('r1', 'me');
    await a.began('r1', 'me');
    await arrive();
    expect([mine.told(), yours.told()]).toEqual([['r1'], []]);
  });

  it('that opens hears of those that run on all nodes, and no other connection hears of them again', async () => {
    const [here, there, far] = [new Replies(), new Replies(), new Replies()];
    const b = sessionsOn(nodes.join('b'), here.streams);
    sessionsOn(nodes.join('a'), there.streams);
    sessionsOn(nodes.join('c'), far.streams);
    const early = socket('early', 'me');
    b.open(early);
    await arrive();
    for (const [at, each] of [here, there, far].entries()) each.add(`r${at}`, 'me');
    const late = socket('late', 'me');
    b.open(late);
    await arrive();
    expect([early.told(), late.told().sort()]).toEqual([[], ['r0', 'r1', 'r2']]);
  });

  it('hears of no reply that it could not read, where servers share nothing else', async () => {
    const own = { ...new Replies().streams, sharedStats: undefined } as unknown as ChatStreams;
    const replies = new Replies();
    const a = sessionsOn(nodes.join('a'), { ...replies.streams, sharedStats: undefined } as never);
    const b = sessionsOn(nodes.join('b'), own);
    const mine = socket('tab', 'me');
    b.open(mine);
    replies.add('r1', 'me');
    await a.began('r1', 'me');
    await arrive();
    expect([mine.told(), nodes.sent]).toEqual([[], []]);
  });

  it('that is its user itself, and opens, costs no message', async () => {
    const b = sessionsOn(nodes.join('b'), new Replies().streams);
    nodes.join('a');
    b.open(socket('me'));
    await arrive();
    expect(nodes.sent).toEqual([]);
  });

  it('is told of each reply once, however often messages may be missing', async () => {
    const replies = new Replies();
    const a = sessionsOn(nodes.join('a'), replies.streams);
    const b = sessionsOn(nodes.join('b'), new Replies().streams);
    const mine = socket('tab', 'me');
    b.open(mine);
    replies.add('r1', 'me');
    await a.began('r1', 'me');
    nodes.loses = true;
    replies.add('r2', 'me');
    await a.began('r2', 'me');
    await arrive();
    nodes.loses = false;
    expect(mine.told()).toEqual(['r1']);
    for (const of of ['a', undefined, 'b', 'a']) nodes.gap('b', of);
    await vi.advanceTimersByTimeAsync(1000);
    nodes.gap('b', 'a');
    await vi.advanceTimersByTimeAsync(1000);
    expect(mine.told()).toEqual(['r1', 'r2']);
    // Of itself a node misses nothing.
    expect(nodes.sent.filter((topic) => topic === 'clients:ask')).toHaveLength(3);
  });

  it('is told after an outage in which its own node could not ask', async () => {
    const replies = new Replies();
    sessionsOn(nodes.join('a'), replies.streams);
    const b = sessionsOn(nodes.join('b'), new Replies().streams);
    replies.add('r1', 'me');
    nodes.isAway = true;
    const mine = socket('tab', 'me');
    b.open(mine);
    await vi.advanceTimersByTimeAsync(5000);
    nodes.isAway = false;
    await vi.advanceTimersByTimeAsync(2000);
    expect(mine.told()).toEqual(['r1']);
  });

  it('is told after an outage in which the other node could not tell', async () => {
    const replies = new Replies();
    const a = sessionsOn(nodes.join('a'), replies.streams);
    const b = sessionsOn(nodes.join('b'), new Replies().streams);
    const early = socket('early', 'me');
    b.open(early);
    await arrive();
    nodes.isAway = true;
    replies.add('r1', 'me');
    await a.began('r1', 'me');
    await vi.advanceTimersByTimeAsync(5000);
    nodes.isAway = false;
    await vi.advanceTimersByTimeAsync(2000);
    expect(early.told()).toEqual(['r1']);
    expect(nodes.sent.length).toBeLessThan(10);
  });

  it('leaves no timer behind when its node stops', async () => {
    const b = sessionsOn(nodes.join('b'), new Replies().streams);
    nodes.join('a');
    nodes.isAway = true;
    const session = b.open(socket('tab', 'me'));
    await arrive();
    session.closed();
    expect(vi.getTimerCount()).toBe(1);
    b.stop();
    nodes.gap('b');
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a notification', () => {
  const notes = ({ sent }: ReturnType<typeof socket>) =>
    sent.flatMap(({ type, seq, from, to }) => {
      if (type === 'notification') return [seq];
      return type === 'inbox_gap' ? [[from, to]] : [];
    });
  const open = (sessions: Sessions, after?: number) => {
    const made = socket(`c${sockets}`, 'me');
    const session = sessions.open(made);
    void session.message(JSON.stringify({ type: 'inbox', ...(after !== undefined && { after }) }));
    return made;
  };

  it('reaches the connections on all nodes, in one order, and has one inbox', async () => {
    const [a, b] = [sessionsOn(nodes.join('a')), sessionsOn(nodes.join('b'))];
    const [mine, yours] = [open(b), socket('you')];
    void b.open(yours).message('{"type":"ping"}');
    const first = await a.send('me', 't', 1);
    const second = await b.broadcast('t', 2);
    const third = await a.send('you', 't', 3);
    expect([notes(mine), notes(yours)]).toEqual([
      [first, second],
      [second, third],
    ]);
    expect(notes(open(a, first))).toEqual([second]);
    expect(notes(open(b, 0))).toEqual([first, second]);
  });

  it('that its client has from another node comes once, however late its node hears of it', async () => {
    const [a, b] = [sessionsOn(nodes.join('a')), sessionsOn(nodes.join('b'))];
    const late: (() => void)[] = [];
    nodes.late.set('b', late);
    const first = await a.send('me', 't', 1);
    const second = await a.send('me', 't', 2);
    const mine = open(b, second);
    for (const hear of late.splice(0)) {
      await vi.advanceTimersByTimeAsync(1000);
      hear();
    }
    nodes.late.delete('b');
    await arrive();
    const third = await a.send('me', 't', 3);
    expect(notes(mine)).toEqual([third]);
    expect(mine.sent.filter(({ type }) => type === 'inbox')).toEqual([]);
    expect(first).toBeLessThan(second);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that a node has missed is a gap for its connections, and for those that come to it', async () => {
    const [a, b] = [sessionsOn(nodes.join('a')), sessionsOn(nodes.join('b'))];
    const mine = open(b);
    const first = await a.send('me', 't', 1);
    nodes.late.set('b', []);
    const lost = await a.send('me', 't', 2);
    nodes.late.delete('b');
    nodes.miss('b', lost);
    const third = await a.send('me', 't', 3);
    const all = [first, [lost, lost], third];
    expect([notes(mine), notes(open(b, first - 1))]).toEqual([all, all]);
    expect(notes(open(a, first))).toEqual([lost, third]);
    // Its client has it from the other node.
    expect(notes(open(b, lost))).toEqual([third]);
  });

  it('whose number no node has come to leaves a connection waiting for a while, and no longer', async () => {
    const a = sessionsOn(nodes.join('a'));
    const mine = open(a, 9_000_000);
    await vi.advanceTimersByTimeAsync(10_000);
    const seq = await a.send('me', 't', 1);
    expect(mine.sent).toMatchObject([
      { type: 'inbox', seq: seq - 1 },
      { type: 'notification', seq },
    ]);
  });

  it('is refused at once while the engine is away, and for what is no notification', async () => {
    const a = sessionsOn(nodes.join('a'));
    nodes.isAway = true;
    await expect(a.send('me', 't')).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    expect(() => a.send('me', '')).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
    expect(() => a.send('', 't')).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
  });
});
