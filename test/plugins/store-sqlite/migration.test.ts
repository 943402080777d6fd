import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import Database from 'libsql';
import { describe, expect, it, onTestFinished } from 'vitest';
import { config } from '../../../plugins/store-sqlite/config.js';
import { SqliteStore } from '../../../plugins/store-sqlite/sqlite-store.js';
import { eventually } from '../../support/eventually.js';
import { tempFolder } from '../../support/kernel.js';

/** The tables of the first version, which had no search. */
const firstSchema = `
  CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL,
    conversation TEXT NOT NULL,
    title TEXT NOT NULL,
    messages INTEGER NOT NULL,
    chars INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    used_at REAL NOT NULL,
    UNIQUE (user, conversation)
  );
  CREATE INDEX conversations_by_update ON conversations (user, updated_at);
  CREATE INDEX conversations_by_use ON conversations (used_at);
  CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
    chars INTEGER NOT NULL,
    message TEXT NOT NULL
  );
  CREATE INDEX messages_by_conversation ON messages (conversation);
  PRAGMA application_id = ${0x7761_676c};
  PRAGMA user_version = 1;
`;

const users = ['ann', 'bob'];
const conversations = 20;
const turns = 25;
const key = (at: number, userId = 'ann') => ({ userId, conversationId: `c${at}` });

/** A file as the first version left it: two users with 20 conversations of 25 turns each. */
function firstFile(path: string): void {
  const file = new Database(path);
  file.exec('PRAGMA journal_mode = WAL');
  file.exec(firstSchema);
  const conversation = file.prepare(
    'INSERT INTO conversations (user, conversation, title, messages, chars, updated_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const message = file.prepare('INSERT INTO messages (conversation, chars, message) VALUES (?, ?, ?)');
  file.transaction(() => {
    let at = 0;
    for (const user of users)
      for (let each = 0; each < conversations; each++) {
        const now = Date.now() - 10_000 + at++;
        const texts = [JSON.stringify(user), JSON.stringify(`c${each}`), `of ${user}`];
        conversation.run(...texts, 2 * turns, 100, now, now);
        for (let turn = 0; turn < turns; turn++) {
          const said = (role: string, content: string) => JSON.stringify({ role, content });
          message.run(at, 1, said('user', `question ${turn} of ${user}${each}x`));
          message.run(at, 1, said('assistant', `answer ${turn}`));
        }
      }
  })();
  file.close();
}

async function open(path: string): Promise<SqliteStore> {
  const store = await SqliteStore.open(config.parse({ path }), () => {});
  onTestFinished(() => store.close(5000));
  return store;
}

async function expectAll(store: SqliteStore): Promise<void> {
  const search = (text: string, userId = 'ann') => store.search(userId, { text, limit: 1000 });
  await eventually(async () => expect(await search('x')).toMatchObject({ complete: true }));
  for (const user of users) {
    expect((await search('question', user)).hits).toHaveLength(conversations * turns);
    expect((await search(`3 ${user}7x`, user)).hits).toMatchObject([
      { conversationId: 'c7', excerpt: `question 3 of ${user}7x` },
    ]);
  }
  expect((await search('bob')).hits).toEqual([]);
  expect(await store.list('bob', { limit: 100 })).toHaveLength(conversations);
  expect(await store.read(key(3))).toHaveLength(2 * turns);
}

function isSound(path: string): boolean {
  const file = new Database(path);
  try {
    return String(file.prepare('PRAGMA integrity_check').raw().get()) === 'ok';
  } finally {
    file.close();
  }
}

describe('a file of the first version', () => {
  it('is used at once, and becomes searchable from the newest message back', async () => {
    const path = join(tempFolder().path, 'c.sqlite');
    firstFile(path);
    const store = await open(path);
    // Whatever happens meanwhile.
    await store.append(key(1), [{ role: 'user', content: 'brand new' }]);
    await store.delete(key(2, 'bob'));
    await store.append(key(2, 'bob'), [{ role: 'user', content: 'question again' }]);
    await store.rename(key(4), 'renamed');
    const { hits } = await store.search('ann', { text: 'brand', limit: 9 });
    expect(hits).toMatchObject([{ conversationId: 'c1', excerpt: 'brand new' }]);
    await eventually(async () =>
      expect(await store.search('ann', { text: 'x', limit: 1 })).toMatchObject({ complete: true }),
    );
    const count = async (text: string, user: string) =>
      (await store.search(user, { text, limit: 1000 })).hits.length;
    expect(await count('question', 'ann')).toBe(conversations * turns);
    expect(await count('question', 'bob')).toBe((conversations - 1) * turns + 1);
    expect(await count('renamed', 'ann')).toBe(1);
    await store.close(5000);
    expect(isSound(path)).toBe(true);
    await expectAllButBob(await open(path));
  });

  const expectAllButBob = async (store: SqliteStore) =>
    expect((await store.search('ann', { text: 'question', limit: 1000 })).hits).toHaveLength(
      conversations * turns,
    );

  it('loses nothing when its process is killed in the middle, however often', async () => {
    const path = join(tempFolder().path, 'c.sqlite');
    firstFile(path);
    for (let steps = 0; ; steps++) {
      const ended = await indexUntilKilled(path, steps);
      expect(isSound(path)).toBe(true);
      if (ended || steps === 6) break;
    }
    await expectAll(await open(path));
  });
});

/** Opens the file in a process that is killed after a number of steps, or while it opens the file. */
async function indexUntilKilled(path: string, steps: number): Promise<boolean> {
  const module = pathToFileURL('dist/plugins/store-sqlite/conversation-file.js').href;
  const limits = JSON.stringify({ ...config.parse({}), path: undefined });
  const child = spawn(
    process.execPath,
    [
      ...['--input-type=module', '--eval'],
      `import { ConversationFile } from '${module}';
      process.stdout.write('opens\\n');
      const file = new ConversationFile(${JSON.stringify(path)}, ${limits});
      while (file.indexSome()) process.stdout.write('step\\n');
      process.stdout.write('end\\n');
      setInterval(() => {}, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  for await (const part of child.stdout) {
    said += part;
    const lines = said.split('\n').length - 1;
    if (lines > steps || said.includes('end\n')) break;
  }
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return said.includes('end\n');
}
