import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LogEntry, ReadableListener, ReplyReader } from '#kernel';
import { type Heartbeat, ReplyBody } from '#sdk';

/** A reader that gives what a test puts in. */
class FakeReader {
  entries: LogEntry[] | undefined = [];
  merges = 0;
  left = false;
  #listener: ReadableListener | undefined;

  add(...contents: string[]): void {
    for (const content of contents) {
      const frame = { type: 'streaming_token', streamId: 's', content } as const;
      this.entries?.push({ type: frame.type, frame, position: 0, json: content, positioned: '' });
    }
    this.#listener?.readable();
  }

  readonly reader = {
    take: () => this.entries?.splice(0),
    onReadable: (listener: ReadableListener) => {
      this.#listener = listener;
    },
    merge: () => {
      this.merges++;
    },
    return: async () => {
      this.left = true;
      return { done: true, value: undefined };
    },
  } as unknown as ReplyReader;
}

class Joined extends ReplyBody {
  readonly begun: boolean[] = [];

  protected encode(entries: readonly LogEntry[], begun: boolean): string {
    this.begun.push(begun);
    const text = entries.map(({ json }) => json).join('');
    if (text === 'broken') throw new Error('broken');
    return text === 'hidden' ? '' : text;
  }
}

function joined(heartbeat?: Heartbeat) {
  const fake = new FakeReader();
  const body = new Joined(fake.reader, heartbeat);
  const parts: (string | undefined)[] = [];
  const takeAll = () => {
    for (let part = body.take(); part !== ''; part = body.take()) {
      parts.push(part);
      if (part === undefined) return;
    }
  };
  return { fake, body, parts, takeAll };
}

describe('a reply as a body', () => {
  it('gives all that is new as one part, nothing while there is nothing, and says when it has ended', () => {
    const { fake, body } = joined();
    expect(body.take()).toBe('');
    fake.add('one', 'two');
    expect(body.take()).toBe('onetwo');
    expect(body.take()).toBe('');
    fake.entries = undefined;
    expect(body.take()).toBeUndefined();
  });

  it('tells whoever listens, and asks for a merged backlog where he takes nothing', () => {
    const { fake, body, parts, takeAll } = joined();
    let hasRoom = true;
    body.onReadable({ readable: () => hasRoom && takeAll() });
    fake.add('one');
    expect([parts, fake.merges]).toEqual([['one'], 0]);
    hasRoom = false;
    fake.add('two');
    fake.add('three');
    expect([parts, fake.merges]).toEqual([['one'], 2]);
    takeAll();
    expect(parts).toEqual(['one', 'twothree']);
  });

  it('has begun with the first part that has text; what is hidden is passed over', () => {
    const { fake, body } = joined();
    fake.add('hidden');
    expect(body.take()).toBe('');
    fake.add('one');
    body.take();
    fake.add('two');
    body.take();
    expect(body.begun).toEqual([false, false, true]);
  });

  it('throws what its encoding throws', () => {
    const { fake, body } = joined();
    fake.add('broken');
    expect(() => body.take()).toThrow('broken');
  });

  it('lets its reader leave when it is closed', async () => {
    const { fake, body } = joined();
    await body.return();
    expect(fake.left).toBe(true);
  });

  describe('with a heartbeat', () => {
    beforeEach(() => void vi.useFakeTimers());
    afterEach(() => {
      expect(vi.getTimerCount()).toBe(0);
      vi.useRealTimers();
    });

    const heartbeat = { text: '♥', afterMs: 100, firstAfterMs: 10 };

    it('gives one after each silence, and another wait before the first part', async () => {
      const { fake, body, parts, takeAll } = joined(heartbeat);
      body.onReadable({ readable: takeAll });
      takeAll();
      vi.advanceTimersByTime(9);
      expect(parts).toEqual([]);
      vi.advanceTimersByTime(1);
      expect(parts).toEqual(['♥']);
      vi.advanceTimersByTime(99);
      fake.add('one');
      vi.advanceTimersByTime(99);
      expect(parts).toEqual(['♥', 'one']);
      vi.advanceTimersByTime(1);
      expect(parts).toEqual(['♥', 'one', '♥']);
      vi.advanceTimersByTime(100);
      expect(parts).toEqual(['♥', 'one', '♥', '♥']);
      await body.return();
    });

    it('gives none in place of text, nor more than one to whoever had no room', async () => {
      const { fake, body, parts, takeAll } = joined(heartbeat);
      takeAll();
      vi.advanceTimersByTime(1000);
      takeAll();
      expect(parts).toEqual(['♥']);
      vi.advanceTimersByTime(1000);
      fake.add('one');
      takeAll();
      expect(parts).toEqual(['♥', 'one']);
      await body.return();
    });

    it('may be closed by whoever takes it', () => {
      const { body, takeAll } = joined(heartbeat);
      body.onReadable({ readable: () => void body.return() });
      takeAll();
      vi.advanceTimersByTime(1000);
    });
  });
});
