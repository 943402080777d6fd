import { expect, it } from 'vitest';
import type { LogEntry, ReadableListener, Reply, ReplyReader } from '#kernel';
import { EventStream } from '../../../plugins/endpoint-openai/event-stream.js';
import { TextWording } from '../../../plugins/endpoint-openai/wording.js';

/** A reply whose reader gives what a test puts in. */
class FakeReader {
  entries: LogEntry[] = [];
  merges = 0;
  left = false;
  #listener: ReadableListener | undefined;

  add(content: string): void {
    const frame = { type: 'streaming_token', streamId: 's', content } as const;
    this.entries.push({ type: frame.type, frame, position: 0, json: '', positioned: '' });
    this.#listener?.readable();
  }

  readonly reader = {
    take: () => this.entries.splice(0),
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

it('asks for a merged backlog once its connection takes nothing, and leaves when it is closed', async () => {
  const fake = new FakeReader();
  const reply = { read: () => fake.reader } as Reply;
  const timing = { holdHeadersMs: 60_000, heartbeatMs: 60_000 };
  const parts = new EventStream(reply, new TextWording('s', 'm'), false, timing);

  const first = parts.next();
  fake.add('one');
  expect((await first).value).toContain('"one"');
  expect(fake.merges).toBe(0);
  fake.add('two');
  fake.add('three');
  expect(fake.merges).toBe(2);
  expect((await parts.next()).value).toMatch(/"two".*"three"/s);

  const last = parts.next();
  await parts.return();
  expect(await last).toEqual({ done: true, value: undefined });
  expect(fake.left).toBe(true);
});
