import { join } from 'node:path';
import fc from 'fast-check';
import Database from 'libsql';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ChatMessage, ConversationKey, NumberedMessage, SearchResult } from '#kernel';
import { charsOf, titleFrom, titleOf } from '#sdk';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import { type Call, ConversationFile } from '../../../plugins/store-sqlite/conversation-file.js';
import { anyCharacter } from '../../support/any-character.js';
import { tempFolder } from '../../support/kernel.js';
import { times } from '../../support/thorough.js';

const users = ['ann', 'bob'];
const ids = ['a', 'b', 'c', 'd'];
const turn = (content: string): readonly ChatMessage[] => [
  { role: 'user', content },
  { role: 'assistant', content: content.toUpperCase() },
];

const appended = (key: ConversationKey, messages: readonly ChatMessage[], title = '') => ({
  key,
  title,
  messages,
  chars: messages.map(charsOf),
});

const key = fc.record({ userId: fc.constantFrom(...users), conversationId: fc.constantFrom(...ids) });
const said = fc.oneof(
  fc.string({ maxLength: 20, unit: anyCharacter }),
  fc
    .array(fc.constantFrom('bee', 'Beet', 'über', '東京都', 'x', '\0', '🐝'), { maxLength: 4 })
    .map((words) => words.join(' ')),
);
const wanted = fc.constantFrom('be', 'BEE', 'uber', '京都', 'x', 'x bee', '🐝', '?', 'ann');
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant('append' as const),
      key,
      words: said,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant('read' as const), key, limit: fc.constantFrom(0, 1, 3, 100) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('rename' as const), key, title: said }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('search' as const), key, text: wanted }) },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant('page' as const),
      key,
      limit: fc.constantFrom(1, 2, 3),
      pages: fc.constantFrom(1, 2, 3),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('index' as const) }) },
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
              ask(file, { method: 'append', args: [appended(each.key, messages, titleOf(messages))] });
              await model.append(each.key, messages);
            } else if (each.what === 'read') {
              const args = [each.key, each.limit] as const;
              const read = (ask(file, { method: 'read', args: [...args] }) as string[]).map((message) =>
                JSON.parse(message),
              );
              expect(read).toEqual(await model.read(each.key, each.limit));
            } else if (each.what === 'delete') {
              expect(ask(file, { method: 'delete', args: [each.key] })).toBe(await model.delete(each.key));
            } else if (each.what === 'rename') {
              const { key, title } = each;
              expect(ask(file, { method: 'rename', args: [key, titleFrom(title)] })).toBe(
                await model.rename(key, title),
              );
            } else if (each.what === 'search') {
              const options = { text: each.text, limit: 100 };
              const { userId } = each.key;
              const inFile = ask(file, { method: 'search', args: [userId, options] });
              expect(hitsOf(inFile as SearchResult)).toEqual(hitsOf(await model.search(userId, options)));
            } else if (each.what === 'page') {
              const { key, limit, pages } = each;
              let below: readonly (number | undefined)[] = [undefined, undefined];
              for (let page = 0; page < pages; page++) {
                const inFile = ask(file, { method: 'page', args: [key, { limit, before: below[0] }] });
                const rows = inFile as readonly (readonly [number, string])[];
                const messages = await model.page(key, { limit, before: below[1] });
                expect(rows.map(([, message]) => JSON.parse(message))).toEqual(messages.map(messageOf));
                if (rows.length < limit) break;
                below = [rows[0]?.[0], messages[0]?.number];
              }
            } else if (each.what === 'index') file.indexSome();
            else if (each.what === 'list') {
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
              expect(() => ask(file, { method: 'append', args: [appended(each.key, messages)] })).toThrow(
                'odd',
              );
            } else {
              file.close();
              file = new ConversationFile(path, limits, clock);
            }
          }
        } finally {
          file.close();
        }
        expectSound(path);
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
    for (let id = 0; id < 500; id++) ask(file, { method: 'append', args: [appended(key(id), turn('x'))] });
    now += 1000;
    expect(ask(file, { method: 'list', args: ['ann', { limit: 1000 }] })).toEqual([]);
    expect(ask(file, { method: 'read', args: [key(499), 9] })).toEqual([]);
    expect(ask(file, { method: 'delete', args: [key(498)] })).toBe(false);
    ask(file, { method: 'append', args: [appended(key(497), turn('new'))] });
    expect(ask(file, { method: 'read', args: [key(497), 9] })).toHaveLength(2);
  });

  it('finds no words of what was deleted under an id that SQLite gives again, also before they are removed', () => {
    const path = join(tempFolder().path, 'c.sqlite');
    const limits = {
      maxMessages: 6,
      conversationLimitChars: 80,
      maxConversations: 1000,
      totalLimitChars: 1e6,
      timeToLiveMs: 1e9,
    };
    const file = new ConversationFile(path, limits);
    onTestFinished(() => file.close());
    const key = { userId: 'ann', conversationId: 'c' };
    const search = () =>
      (ask(file, { method: 'search', args: ['ann', { text: 'old', limit: 9 }] }) as SearchResult).hits.length;
    ask(file, { method: 'append', args: [appended(key, turn('old'))] });
    ask(file, { method: 'rename', args: [key, 'old title'] });
    expect(search()).toBe(3);
    ask(file, { method: 'delete', args: [key] });
    // Results of tools are not searched.
    const result = { role: 'tool', content: 'new' } as const;
    ask(file, {
      method: 'append',
      args: [appended(key, [{ role: 'user', content: 'new' }, result, result])],
    });
    expect(search()).toBe(0);
    ask(file, { method: 'delete', args: [key] });
    ask(file, { method: 'append', args: [appended(key, turn('new'))] });
    ask(file, { method: 'rename', args: [key, 'new title'] });
    while (file.indexSome());
    expect(search()).toBe(0);
    expect(ask(file, { method: 'search', args: ['ann', { text: 'new', limit: 9 }] })).toMatchObject({
      hits: [{}, {}, { excerpt: 'new title' }],
    });
  });
});

/** Numbers differ, and so does the order of titles. */
function hitsOf({ hits }: SearchResult) {
  const [messages, titles] = [hits.filter(({ role }) => role), hits.filter(({ role }) => !role)];
  const inOrder = titles.sort((a, b) => (a.conversationId < b.conversationId ? -1 : 1));
  return [...messages, ...inOrder].map(({ number: _, ...rest }) => rest);
}

const messageOf = ({ message }: NumberedMessage) => message;

/** SQLite finds no mistake in the file, and the index has exactly the words of what is stored. */
function expectSound(path: string): void {
  const file = new Database(path);
  try {
    expect(file.prepare('PRAGMA integrity_check').raw().all()).toEqual([['ok']]);
    file.exec("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)");
    const strange = 'SELECT count(*) FROM words WHERE id > 0 AND id NOT IN (SELECT id FROM messages)';
    expect(file.prepare(strange).raw().all()).toEqual([[0]]);
  } finally {
    file.close();
  }
}

/** One call by itself. */
function ask(file: ConversationFile, call: Call): unknown {
  const [outcome] = file.run([call]);
  if (outcome && 'value' in outcome) return outcome.value;
  throw new Error(outcome?.why);
}
