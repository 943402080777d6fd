import { describe, expect, it } from 'vitest';
import { Bus, type ChatStreams, Registry, type Socket, type TaskDefinition } from '#kernel';
import { config } from '../../../plugins/endpoint-ws/config.js';
import { RateLimit } from '../../../plugins/endpoint-ws/rate-limit.js';
import { Sessions } from '../../../plugins/endpoint-ws/sessions.js';
import { silentLogger } from '../../support/kernel.js';

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

const sessionsOver = (streams: ChatStreams) =>
  new Sessions({
    streams,
    engine: undefined,
    tasks: new Registry<TaskDefinition>('task'),
    config: config.parse({}),
    bus: new Bus(() => {}),
    logger: silentLogger,
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
