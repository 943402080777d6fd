import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ChatMessage, titleOf } from '#kernel';
import { config } from '../../../plugins/store-memory/config.js';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import { ConversationFile } from '../../../plugins/store-sqlite/conversation-file.js';
import { tempFolder } from '../../support/kernel.js';

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
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const path = join(folder, `${runs++}.sqlite`);
        const limits = {
          maxMessages: 6,
          conversationLimitChars: 80,
          maxConversations: 4,
          totalLimitChars: 150,
          timeToLiveMs: 100,
        };
        let now = 1_000_000;
        // Every look at the clock is a little later, as in life.
        const clock = () => {
          now += 0.001;
          return now;
        };
        const model = new MemoryStore(config.parse(limits), () => now);
        let file = new ConversationFile(path, limits, clock);
        try {
          for (const each of steps) {
            now = Math.ceil(now);
            if (each.what === 'append') {
              const messages = turn(each.words);
              file.append({ key: each.key, title: titleOf(messages), messages });
              await model.append(each.key, messages);
            } else if (each.what === 'read') {
              const read = file.read(each.key, each.limit).map((message) => JSON.parse(message));
              expect(read).toEqual(await model.read(each.key, each.limit));
            } else if (each.what === 'delete') {
              expect(file.delete(each.key)).toBe(await model.delete(each.key));
            } else if (each.what === 'list') {
              const listed = (list: readonly { readonly updatedAt: number }[]) =>
                list.map(({ updatedAt: _, ...rest }) => rest);
              const { userId } = each.key;
              const { limit } = each;
              expect(listed(file.list(userId, { limit }))).toEqual(
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
              const [outcome] = file.run([
                {
                  method: 'append',
                  args: [{ key: each.key, title: '', messages: [...turn('x'), unstorable] }],
                },
              ]);
              expect(outcome).toEqual({ why: 'odd' });
            } else {
              // What was read since the last write may be forgotten sooner than it should.
              file.list('ann', { limit: 1 });
              file.close();
              file = new ConversationFile(path, limits, clock);
            }
          }
        } finally {
          file.close();
        }
      }),
      { numRuns: 60 },
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
    for (let id = 0; id < 500; id++)
      file.append({ key: { userId: 'ann', conversationId: `c${id}` }, title: '', messages: turn('x') });
    now += 1000;
    expect(file.list('ann', { limit: 1000 })).toEqual([]);
    expect(file.read({ userId: 'ann', conversationId: 'c499' }, 9)).toEqual([]);
    expect(file.delete({ userId: 'ann', conversationId: 'c499' })).toBe(false);
  });
});
