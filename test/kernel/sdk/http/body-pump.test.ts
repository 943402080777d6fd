import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { BodyPump } from '../../../../kernel/sdk/http/body-pump.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A pump whose sink has room only where a test says so. */
function pumping(...parts: string[]) {
  const seen = { written: [] as string[], finished: 0, stalled: 0, hasRoom: true };
  const body = {
    take: () => parts.shift(),
    onReadable: () => {},
    return: async () => {},
  };
  const sink = {
    write: (part: string) => {
      seen.written.push(part);
      return seen.hasRoom;
    },
    finish: () => void seen.finished++,
    stalled: () => void seen.stalled++,
  };
  return { pump: new BodyPump(body, sink, 100), seen };
}

it('writes until there is no room, goes on when there is, and finishes once', async () => {
  const { pump, seen } = pumping('a', 'b', 'c');
  seen.hasRoom = false;
  pump.readable();
  pump.readable();
  expect(seen.written).toEqual(['a']);
  seen.hasRoom = true;
  pump.writable();
  await pump.ended;
  expect(seen).toMatchObject({ written: ['a', 'b', 'c'], finished: 1 });
  pump.readable();
  expect(seen.finished).toBe(1);
});

it('says that its sink has stalled, once it has taken nothing for the time allowed', () => {
  const { pump, seen } = pumping('a', 'b', 'c');
  seen.hasRoom = false;
  pump.readable();
  vi.advanceTimersByTime(99);
  pump.writable();
  vi.advanceTimersByTime(99);
  expect(seen).toMatchObject({ written: ['a', 'b'], stalled: 0 });
  vi.advanceTimersByTime(1);
  expect(seen.stalled).toBe(1);
});

it('waits for nothing once it is stopped', async () => {
  const { pump, seen } = pumping('a', 'b');
  seen.hasRoom = false;
  pump.readable();
  pump.stop();
  await pump.ended;
  expect(vi.getTimerCount()).toBe(0);
  pump.writable();
  expect(seen).toMatchObject({ written: ['a'], finished: 0, stalled: 0 });
});

it('ends with what the body throws', async () => {
  const broken = new BodyPump(
    {
      take: () => {
        throw new Error('broken');
      },
      onReadable: () => {},
      return: async () => {},
    },
    { write: () => true, finish: () => {}, stalled: () => {} },
    100,
  );
  broken.readable();
  await expect(broken.ended).rejects.toThrow('broken');
});
