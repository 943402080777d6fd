import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import Database from 'libsql';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ChatMessage } from '#kernel';
import { config } from '../../../plugins/store-sqlite/config.js';
import storeSqlite from '../../../plugins/store-sqlite/index.js';
import { SqliteStore } from '../../../plugins/store-sqlite/sqlite-store.js';
import { conversationStoreContract } from '../../contracts/conversation-store.contract.js';
import { rejection, silentLogger, startKernel, tempFolder } from '../../support/kernel.js';
import { leakCheck } from '../../support/leaks.js';

const closeTimeoutMs = 5000;
const key = (conversationId: string) => ({ userId: 'ann', conversationId });
const turn = (content: string): readonly ChatMessage[] => [
  { role: 'user', content },
  { role: 'assistant', content: `${content}!` },
];

/** A store that is closed when the test ends. */
async function open(settings: object = {}): Promise<SqliteStore> {
  const path = 'path' in settings ? settings.path : join(tempFolder().path, 'c.sqlite');
  const store = await SqliteStore.open(config.parse({ ...settings, path }), () => {});
  onTestFinished(() => store.close(closeTimeoutMs));
  return store;
}

conversationStoreContract('store-sqlite', open);

describe('store-sqlite', () => {
  it('has everything after a restart, in order', async () => {
    const path = join(tempFolder().path, 'in', 'a', 'folder', 'c.sqlite');
    const first = await open({ path });
    for (const word of ['one', 'two', 'three']) await first.append(key('c'), turn(word));
    await first.append(key('d'), turn('four'));
    const list = await first.list('ann', { limit: 9 });
    await first.close(closeTimeoutMs);
    const second = await open({ path });
    expect(await second.read(key('c'))).toEqual([...turn('one'), ...turn('two'), ...turn('three')]);
    expect(await second.list('ann', { limit: 9 })).toEqual(list);
  });

  it('writes what waits before it closes, and takes nothing more', async () => {
    const path = join(tempFolder().path, 'c.sqlite');
    const first = await open({ path });
    const appended = Promise.all(
      Array.from({ length: 100 }, (_, index) => first.append(key(`c${index}`), turn('x'))),
    );
    const closed = first.close(closeTimeoutMs);
    await expect(first.append(key('late'), turn('x'))).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    await Promise.all([appended, closed]);
    expect(await (await open({ path })).list('ann', { limit: 1000 })).toHaveLength(100);
  });

  it('copies what it keeps while it is open, and never over a file', async () => {
    const folder = tempFolder();
    const [path, copy] = [join(folder.path, 'c.sqlite'), join(folder.path, 'copy.sqlite')];
    const store = await open({ path });
    await store.append(key('c'), turn('one'));
    const copied = () => storeSqlite.backup?.(config.parse({ path }), copy) as Promise<void>;
    await copied();
    await store.append(key('c'), turn('two'));
    await expect(copied()).rejects.toMatchObject({ code: 'BACKUP_FAILED', details: { path, file: copy } });
    expect(await (await open({ path: copy })).read(key('c'))).toEqual(turn('one'));
    expect(await store.read(key('c'))).toEqual([...turn('one'), ...turn('two')]);
  });

  it('leaves no thread and no lock behind', async () => {
    const path = join(tempFolder().path, 'c.sqlite');
    const leaks = leakCheck();
    for (let round = 0; round < 3; round++) {
      const kernel = await startKernel([[storeSqlite, { config: { path } }]]);
      await kernel.stop();
    }
    await leaks.settled();
  });

  it('lets nobody else on the machine read the file', async () => {
    const path = join(tempFolder().path, 'c.sqlite');
    const store = await open({ path });
    await store.append(key('c'), turn('x'));
    for (const ending of ['', '-wal']) expect(statSync(path + ending).mode & 0o077).toBe(0);
  });

  it('leaves nothing in the file of what was deleted', async () => {
    const path = join(tempFolder().path, 'c.sqlite');
    const store = await open({ path });
    await store.append(key('kept'), turn('innocent'));
    await store.append(key('gone'), turn('secret '.repeat(1000)));
    await store.delete(key('gone'));
    await store.close(closeTimeoutMs);
    const text = readFileSync(path, 'latin1');
    expect([text.includes('innocent'), text.includes('secret')]).toEqual([true, false]);
  });

  it('refuses what is more than may wait, and nothing else', async () => {
    const store = await open({ queueLimit: 3 });
    const asked = await Promise.allSettled(['a', 'b', 'c', 'd'].map((id) => store.append(key(id), turn(id))));
    expect(asked.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
    expect(asked[3]).toMatchObject({ reason: { code: 'QUEUE_FULL', retryAfterMs: 1000 } });
    await store.append(key('d'), turn('d'));
    expect(await store.list('ann', { limit: 9 })).toHaveLength(4);
  });

  it('refuses what is larger than all that may wait, unless nothing does', async () => {
    const store = await open({ queueLimitChars: 100 });
    const large = store.append(key('a'), turn('x'.repeat(200)));
    await expect(store.append(key('b'), turn('x'))).rejects.toMatchObject({ code: 'QUEUE_FULL' });
    await large;
    expect(await store.read(key('a'))).toHaveLength(2);
  });

  it('fails every call, and says so once, when its thread is lost', async () => {
    const threads: Worker[] = [];
    const onWorker = (worker: Worker) => void threads.push(worker);
    process.on('worker', onWorker);
    onTestFinished(() => void process.off('worker', onWorker));
    const told: (string | undefined)[] = [];
    const path = join(tempFolder().path, 'c.sqlite');
    const store = await SqliteStore.open(config.parse({ path }), (trouble) => void told.push(trouble));
    await store.append(key('c'), turn('kept'));
    const appended = store.append(key('c'), turn('lost'));
    await threads[0]?.terminate();
    await expect(appended).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(store.read(key('c'))).rejects.toThrow(/c\.sqlite": its thread has ended/);
    expect(told).toEqual([store.trouble]);
    await store.close(closeTimeoutMs);
    expect((await (await open({ path })).read(key('c'))).slice(0, 2)).toEqual(turn('kept'));
  });

  it('fails for one call where the others succeed', async () => {
    const path = join(tempFolder().path, 'c.sqlite');
    await (await open({ path })).close(closeTimeoutMs);
    const file = new Database(path);
    file.exec(`CREATE TRIGGER full BEFORE INSERT ON messages WHEN new.message LIKE '%no room%'
      BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`);
    file.close();
    const store = await open({ path });
    const [good, bad, read, other] = await Promise.allSettled([
      store.append(key('c'), turn('one')),
      store.append(key('c'), turn('no room')),
      store.read(key('c')),
      store.append(key('d'), turn('two')),
    ]);
    expect([good.status, other.status]).toEqual(['fulfilled', 'fulfilled']);
    expect(read).toMatchObject({ value: turn('one') });
    expect(bad).toMatchObject({ reason: { code: 'STORE_FAILED' } });
    expect(String((bad as PromiseRejectedResult).reason)).toMatch(/c\.sqlite": .*the disk is full/);
    expect(await store.list('ann', { limit: 9 })).toMatchObject([{ messages: 2 }, { messages: 2 }]);
  });
});

describe('a file that store-sqlite cannot use is refused with what to do', () => {
  const refusal = async (path: string) => {
    const error = await rejection(SqliteStore.open(config.parse({ path }), () => {}));
    expect(error).toMatchObject({ code: 'STORE_UNUSABLE' });
    return error.message;
  };

  it('when another server has it, until that has stopped', async () => {
    const path = join(tempFolder().path, 'c.sqlite');
    const first = await open({ path });
    expect(await refusal(path)).toMatch(/c\.sqlite": another Waggle has it open; stop that one/);
    await first.append(key('c'), turn('one'));
    await first.close(closeTimeoutMs);
    expect(await (await open({ path })).read(key('c'))).toEqual(turn('one'));
  });

  it('when a newer Waggle has written it, and leaves it as it is', async () => {
    const path = join(tempFolder().path, 'c.sqlite');
    await (await open({ path })).close(closeTimeoutMs);
    const file = new Database(path);
    file.exec('PRAGMA user_version = 99');
    file.close();
    const before = readFileSync(path);
    expect(await refusal(path)).toMatch(/a newer Waggle has written it \(schema 99, this one reads 2\)/);
    expect(readFileSync(path)).toEqual(before);
  });

  it('when it is the database of another program, and leaves it as it is', async () => {
    const path = join(tempFolder().path, 'c.sqlite');
    const file = new Database(path);
    file.exec('CREATE TABLE theirs (x)');
    file.close();
    const before = readFileSync(path);
    expect(await refusal(path)).toMatch(/the database of another program; choose another file/);
    expect(readFileSync(path)).toEqual(before);
  });

  it('when it is no database', async () => {
    const folder = tempFolder();
    const path = folder.write('c.sqlite', 'a letter to a friend\n'.repeat(100));
    expect(await refusal(path)).toMatch(/no database of Waggle/);
    expect(readFileSync(path, 'utf8')).toMatch(/^a letter/);
  });

  it('when it is damaged', async () => {
    const path = join(tempFolder().path, 'c.sqlite');
    const first = await open({ path });
    for (let id = 0; id < 200; id++) await first.append(key(`c${id}`), turn('x'.repeat(500)));
    await first.close(closeTimeoutMs);
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0x41, 4096));
    expect(await refusal(path)).toMatch(/it is damaged; restore it from a backup/);
  });

  it.each([
    ['a folder', 'folder', /EISDIR/],
    ['below a file', 'file/c.sqlite', /ENOTDIR|EEXIST/],
  ])('when it is %s', async (_, name, why) => {
    const folder = tempFolder();
    folder.write('file', '');
    mkdirSync(join(folder.path, 'folder'));
    expect(await refusal(join(folder.path, name))).toMatch(why);
  });

  it('at the start of the server, which names the plugin', async () => {
    const { path } = tempFolder();
    const error = await rejection(
      startKernel([[storeSqlite, { config: { path } }]], { logger: silentLogger }),
    );
    expect(error.message).toMatch(/^plugin "store-sqlite" failed during setup: cannot keep conversations in/);
  });
});
