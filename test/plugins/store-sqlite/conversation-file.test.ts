import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ChatMessage } from '#kernel';
import { titleOf } from '#sdk';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import { type Call, ConversationFile } from '../../../plugins/store-sqlite/conversation-file.js';
import { tempFolder } from '../../support/kernel.js';
import { times } from '../../support/thorough.js';

const users = ['ann', 'bob'];
const ids = ['a', 'b', 'c', 'd'];
const turn = (content: string): readonly ChatMessage[] => [
  { role: 'user', content },
  { role: 'assistant', content: content.toUpperCase() },
];

const key = fc.record({ userId: fc.constantFrom(...users), conversationId: fc.constantFrom(...ids) });
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant('append' as const),
      key,
      words: fc.string({ maxLength: 20, unit: 'binary' }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant('read' as const), key, limit: fc.constantFrom(0, 1, 3, 100) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('delete' as const), key }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('list' as const), key, limit: fc.integer({ min: 1, max: 5 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 60 }) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('reopen' as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('fail' as const), key }) },
);

describe('a file of conversations', () => {
  it('keeps and forgets the same as the memory of a process, whatever is done, across restarts', async () => {
    const { path: folder } = tempFolder();
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (steps) => {
        const path = join(folder, `${runs++}.sqlite`);
        const limits = {
          maxMessages: 6,
          conversationLimitChars: 80,
          maxConversations: 4,
          totalLimitChars: 150,
          // Never reached to the moment: the two look at the clock one after the other.
          timeToLiveMs: 100.5,
        };
        let now = 1_000_000;
        // Every look at the clock is a little later, as in life.
        const clock = () => {
          now += 0.001;
          return now;
        };
        const model = new MemoryStore(limits, () => now);
        let file = new ConversationFile(path, limits, clock);
        try {
          for (const each of steps) {
            now = Math.ceil(now);
            if (each.what === 'append') {
              const messages = turn(each.words);
              ask(file, { method: 'append', args: [{ key: each.key, title: titleOf(messages), messages }] });
              await model.append(each.key, messages);
            } else if (each.what === 'read') {
              const args = [each.key, each.limit] as const;
              const read = (ask(file, { method: 'read', args: [...args] }) as string[]).map((message) =>
                JSON.parse(message),
              );
              expect(read).toEqual(await model.read(each.key, each.limit));
            } else if (each.what === 'delete') {
              expect(ask(file, { method: 'delete', args: [each.key] })).toBe(await model.delete(each.key));
            } else if (each.what === 'list') {
              const listed = (list: unknown) =>
                (list as { readonly updatedAt: number }[]).map(({ updatedAt: _, ...rest }) => rest);
              const { userId } = each.key;
              const { limit } = each;
              expect(listed(ask(file, { method: 'list', args: [userId, { limit }] }))).toEqual(
                listed(await model.list(userId, { limit })),
              );
            } else if (each.what === 'wait') now += each.ms;
            else if (each.what === 'fail') {
              // Half of it would be written already.
              const unstorable = {
                role: 'user',
                get content(): string {
                  throw new Error('odd');
                },
              } as const;
              const messages = [...turn('x'), unstorable];
              expect(() =>
                ask(file, { method: 'append', args: [{ key: each.key, title: '', messages }] }),
              ).toThrow('odd');
            } else {
              file.close();
              file = new ConversationFile(path, limits, clock);
            }
          }
        } finally {
          file.close();
        }
      }),
      { numRuns: times(60) },
    );
  }, 60_000);

  it('forgets many that are over a limit step by step, and shows none of them meanwhile', () => {
    const path = join(tempFolder().path, 'c.sqlite');
    const limits = {
      maxMessages: 6,
      conversationLimitChars: 80,
      maxConversations: 1000,
      totalLimitChars: 1e6,
      timeToLiveMs: 100,
    };
    let now = 1_000_000;
    const file = new ConversationFile(path, limits, () => now);
    onTestFinished(() => file.close());
    const key = (id: number) => ({ userId: 'ann', conversationId: `c${id}` });
    for (let id = 0; id < 500; id++)
      ask(file, { method: 'append', args: [{ key: key(id), title: '', messages: turn('x') }] });
    now += 1000;
    expect(ask(file, { method: 'list', args: ['ann', { limit: 1000 }] })).toEqual([]);
    expect(ask(file, { method: 'read', args: [key(499), 9] })).toEqual([]);
    expect(ask(file, { method: 'delete', args: [key(498)] })).toBe(false);
    ask(file, { method: 'append', args: [{ key: key(497), title: '', messages: turn('new') }] });
    expect(ask(file, { method: 'read', args: [key(497), 9] })).toHaveLength(2);
  });
});

/** One call by itself. */
function ask(file: ConversationFile, call: Call): unknown {
  const [outcome] = file.run([call]);
  if (outcome && 'value' in outcome) return outcome.value;
  throw new Error(outcome?.why);
}
