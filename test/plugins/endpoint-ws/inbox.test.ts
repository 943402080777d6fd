import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { config } from '../../../plugins/endpoint-ws/config.js';
import { Inbox } from '../../../plugins/endpoint-ws/inbox.js';

const limits = (given: object = {}) => config.parse({ inbox: given });

interface Got {
  readonly type: 'notification' | 'inbox_gap';
  readonly seq: number;
  readonly from: number;
  readonly to: number;
}

/** All that follows a number. */
function all(inbox: Inbox, userId: string, after: number): readonly Got[] {
  const got: Got[] = [];
  let seq = after;
  do {
    const portion = inbox.after(userId, seq);
    got.push(...portion.frames.map((frame) => JSON.parse(frame) as Got));
    ({ seq } = portion);
  } while (seq < inbox.seq);
  return got;
}

const numbersOf = (got: readonly Got[]) =>
  got.flatMap((each) => (each.type === 'notification' ? each.seq : []));
const gapsOf = (got: readonly Got[]) => got.filter(({ type }) => type === 'inbox_gap');

describe('an inbox', () => {
  it('gives each user its own and those to all, in order', () => {
    const inbox = new Inbox(limits());
    const mine = inbox.keep('me', 'a', 1);
    inbox.keep('you', 'b', 2);
    const everyones = inbox.keep(undefined, 'c', { x: [3] });
    expect(numbersOf(all(inbox, 'me', 0))).toEqual([mine.seq, everyones.seq]);
    expect(numbersOf(all(inbox, 'me', mine.seq))).toEqual([everyones.seq]);
    expect(JSON.parse(everyones.json)).toEqual({
      type: 'notification',
      seq: everyones.seq,
      topic: 'c',
      data: { x: [3] },
    });
  });

  it.each([
    ['', 1],
    ['t'.repeat(129), 1],
    ['t', 1n],
    [
      't',
      Object.assign([], {
        toJSON: () => {
          throw new Error('no');
        },
      }),
    ],
  ])('refuses the topic %j with %s', (topic, data) => {
    expect(() => new Inbox(limits()).keep('me', topic, data)).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST' }),
    );
  });

  it.each([[undefined], [() => 1], [Symbol('x')]])('sends null for %s, which has no JSON', (data) => {
    expect(JSON.parse(new Inbox(limits()).keep('me', 't', data).json).data).toBeNull();
  });

  it('refuses one that is larger than itself', () => {
    const inbox = new Inbox(limits({ limitChars: 1024 }));
    expect(() => inbox.keep('me', 't', 'x'.repeat(1024))).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE' }),
    );
    expect(numbersOf(all(inbox, 'me', 0))).toEqual([]);
  });

  it('numbers on behind those of an earlier server, and says that it does not know them', () => {
    const earlier = new Inbox(limits()).keep('me', 't', 1).seq - 10_000_000;
    const inbox = new Inbox(limits());
    const { seq } = inbox.keep('me', 't', 2);
    expect(all(inbox, 'me', earlier)).toEqual([
      { type: 'inbox_gap', from: earlier + 1, to: seq - 1 },
      expect.objectContaining({ seq }),
    ]);
  });

  it('takes no number from a client', () => {
    const inbox = new Inbox(limits());
    const { seq } = inbox;
    expect(all(inbox, 'me', seq + 60_000_000)).toEqual([]);
    expect(inbox.keep('me', 't', 1).seq).toBe(seq + 1);
  });

  it('forgets what is too old', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const inbox = new Inbox(limits({ keepMs: 1000 }));
      const old = inbox.keep('me', 't', 1).seq;
      vi.advanceTimersByTime(1001);
      const young = inbox.keep('me', 't', 2).seq;
      expect(all(inbox, 'me', 0)).toEqual([
        { type: 'inbox_gap', from: old, to: old },
        expect.objectContaining({ seq: young }),
      ]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('has bounds for all users together', () => {
    const inbox = new Inbox(limits({ limitChars: 1024, totalLimitChars: 10_000, maxUsers: 20 }));
    for (let user = 0; user < 100; user++) inbox.keep(`u${user}`, 't', 'x'.repeat(900));
    const kept = Array.from({ length: 100 }, (_, user) => numbersOf(all(inbox, `u${user}`, 0)).length);
    expect(kept.reduce((a, b) => a + b)).toBeLessThanOrEqual(10);
    expect(kept.at(-1)).toBe(1);
    expect(gapsOf(all(inbox, 'u0', 1))).toHaveLength(1);
  });

  it('gives each exactly once and in order, or a gap with exactly those that are missing', () => {
    const user = fc.constantFrom('a', 'b', undefined);
    const step = fc.oneof(
      fc.record({ to: user, chars: fc.nat(300) }),
      fc.record({ reader: fc.constantFrom('a', 'b') }),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 0, max: 6 }),
        (steps, maxNotifications) => {
          const inbox = new Inbox(limits({ maxNotifications, limitChars: 1024 }));
          const sent = { a: [] as number[], b: [] as number[] };
          const cursor = { a: inbox.seq, b: inbox.seq };
          for (const each of steps) {
            if ('to' in each) {
              const { seq } = inbox.keep(each.to, 't', 'x'.repeat(each.chars));
              for (const name of ['a', 'b'] as const)
                if (each.to === undefined || each.to === name) sent[name].push(seq);
              continue;
            }
            const reader = each.reader as 'a' | 'b';
            const got = all(inbox, reader, cursor[reader]);
            const due = sent[reader].filter((seq) => seq > cursor[reader]);
            const numbers = numbersOf(got);
            const missing = due.filter((seq) => !numbers.includes(seq));
            const isIn = (seq: number) => gapsOf(got).some(({ from, to }) => from <= seq && seq <= to);
            expect(numbers).toEqual(due.filter((seq) => !missing.includes(seq)));
            expect(missing.every(isIn)).toBe(true);
            expect(numbers.some(isIn)).toBe(false);
            for (const { from, to } of gapsOf(got)) {
              expect(missing).toContain(from);
              expect(missing).toContain(to);
            }
            // In the order of the numbers.
            const places = got.map(({ type, seq, from }) => (type === 'notification' ? seq : from));
            expect(places).toEqual([...places].sort((x, y) => x - y));
            cursor[reader] = inbox.seq;
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});
