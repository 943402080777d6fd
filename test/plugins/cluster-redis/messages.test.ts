import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Inbox } from '../../../plugins/cluster-redis/inbox.js';
import { Outbox } from '../../../plugins/cluster-redis/outbox.js';

describe('messages between two nodes', () => {
  it('come in order, at most once, and with a gap between any two of which one is missing, over any losses and doubles', async () => {
    const fate = fc.constantFrom('arrives', 'is lost', 'is doubled', 'fails');
    const turn = fc.record({ messages: fc.integer({ min: 0, max: 4 }), fate, echo: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { maxLength: 30 }), async (turns) => {
        let now: (typeof turns)[number] | undefined;
        const inbox = new Inbox();
        const heard: (number | 'gap')[] = [];
        const receive = (channel: string, text: string) => {
          const delivery = inbox.read(channel, text);
          expect(delivery?.from).toBe('a');
          if (delivery?.hasGap) heard.push('gap');
          for (const { topic, body } of delivery?.messages ?? []) {
            expect(topic).toBe('t');
            heard.push(body as number);
          }
        };
        const outbox = new Outbox('a', async (channel, text) => {
          if (now?.fate === 'fails') throw new Error('the connection is lost');
          if (now?.fate !== 'is lost') receive(channel, text);
          if (now?.fate === 'is doubled') receive(channel, text);
          return 1;
        });
        let next = 0;
        for (now of turns) {
          const { fate: how } = now;
          const sent = Array.from({ length: now.messages }, () => outbox.send('to-b', 't', next++));
          outbox.flush();
          for (const each of sent) expect(await each).toBe(how !== 'fails');
          if (now.echo) outbox.echo();
          await nextTurn();
        }
        // At rest the last number is said again and again.
        now = undefined;
        outbox.echo();
        await nextTurn();
        let last = -1;
        for (const [at, each] of heard.entries())
          if (each !== 'gap') {
            expect(each).toBeGreaterThan(last);
            if (each > last + 1) expect(heard.slice(0, at)).toContain('gap');
            if (each > last + 1) expect(heard[at - 1]).toBe('gap');
            last = each;
          }
        if (last < next - 1) expect(heard.at(-1)).toBe('gap');
      }),
    );
  });

  it('fill several batches where one would be too large, and are refused above what may be under way', async () => {
    const texts: string[] = [];
    let settle = () => {};
    const published = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const limits = { messageLimitChars: 100, batchLimitChars: 200, pendingLimitChars: 500, pendingLimit: 9 };
    const outbox = new Outbox(
      'a',
      async (_, text) => {
        texts.push(text);
        await published;
        return 1;
      },
      limits,
    );
    const sent = Array.from({ length: 10 }, () => outbox.send('b', 't', 'x'.repeat(80)));
    outbox.flush();
    expect(texts.length).toBeGreaterThan(1);
    for (const text of texts) expect(text.length).toBeLessThan(220);
    settle();
    const results = await Promise.all(sent);
    expect(results.filter(Boolean)).toHaveLength(5);
    expect(await Promise.all([outbox.send('b', 't', 1), outbox.flush()])).toEqual([true, undefined]);
    expect(() => outbox.send('b', 't', 'x'.repeat(100))).toThrow('more than 100 characters');
  });

  it('are refused while a slow engine has too many batches', async () => {
    let settle = () => {};
    const published = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const limits = { messageLimitChars: 100, batchLimitChars: 200, pendingLimitChars: 500, pendingLimit: 3 };
    const outbox = new Outbox('a', () => published.then(() => 1), limits);
    const sent = [1, 2, 3, 4].map((body) => {
      const each = outbox.send('b', 't', body);
      outbox.flush();
      return each;
    });
    expect(await sent[3]).toBe(false);
    settle();
    expect(await Promise.all(sent)).toEqual([true, true, true, false]);
    const more = outbox.send('b', 't', 5);
    outbox.flush();
    expect(await more).toBe(true);
  });

  it('of a channel that is forgotten are sent before', async () => {
    const outbox = new Outbox('a', async () => 1);
    const sent = outbox.send('b', 't', 1);
    outbox.forget('b');
    expect(await sent).toBe(true);
  });
});
