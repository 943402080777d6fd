import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { config as storeConfig } from '../../plugins/store-sqlite/config.js';
import { SqliteStore } from '../../plugins/store-sqlite/sqlite-store.js';
import { eventually } from '../support/eventually.js';
import { type TempFolder, tempFolder } from '../support/kernel.js';
import { type CommandOptions, type RunningServer, runWaggle, startServer } from '../support/server.js';
import { hasMount, smallDisk } from '../support/small-disk.js';
import { call } from '../support/transport.js';

const under = (key: string, path: string): CommandOptions => ({
  config: {
    plugins: {
      ...(key !== 'store-memory' && { 'store-memory': { enabled: false } }),
      [key]: { use: 'store-sqlite', config: { path } },
    },
  },
});
const inFile = (path: string) => under('store-memory', path);

async function backUp(copy: string, { args = [], ...options }: CommandOptions) {
  const run = await runWaggle('backup', { ...options, args: [copy, ...args] });
  return { code: await run.exited, stdout: run.stdout, stderr: run.stderr };
}

async function say({ port }: RunningServer, content: string, conversation = 'c'): Promise<void> {
  const body = JSON.stringify({ content, user_id: 'ann', conversation_id: conversation });
  const { status } = await call(port, { method: 'POST', path: '/chat', body });
  expect(status).toBe(200);
}

/** The questions of a conversation, as a server reads them from a file. */
async function askedIn(path: string): Promise<readonly string[]> {
  return (await askedInEach(path, ['c'])).get('c') ?? [];
}

/** The same of several. */
async function askedInEach(
  path: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const store = await SqliteStore.open(storeConfig.parse({ path }), () => {});
  const all = new Map<string, readonly string[]>();
  for (const conversationId of ids) {
    const messages = await store.read({ userId: 'ann', conversationId });
    all.set(
      conversationId,
      messages.flatMap(({ role, content }) => (role === 'user' ? [content] : [])),
    );
  }
  await store.close(5000);
  return all;
}

/** A file of conversations that a server has written and left, or still has. */
async function written(path: string, ending?: NodeJS.Signals, options = inFile(path)): Promise<void> {
  const server = await startServer(options);
  await say(server, 'one');
  await say(server, 'two');
  if (ending) await server.stop(ending);
  else onTestFinished(async () => void (await server.stop()));
}

let left: { readonly folder: string; readonly names: readonly string[] } | undefined;
afterAll(() => left && rmSync(left.folder, { recursive: true }));

/** What such a server leaves when it stops, without one for each test: what the first of them left is copied. */
async function writtenBefore(path: string): Promise<void> {
  if (!left) {
    const folder = mkdtempSync(join(tmpdir(), 'waggle-'));
    await written(join(folder, 'c.sqlite'), 'SIGTERM');
    left = { folder, names: readdirSync(folder) };
  }
  for (const name of left.names)
    copyFileSync(join(left.folder, name), path + name.slice('c.sqlite'.length), constants.COPYFILE_EXCL);
}

describe('`waggle backup` copies what is kept', () => {
  it.each<[string, (path: string) => CommandOptions]>([
    ['in the place of the memory', inFile],
    ['under a key of its own', (path) => under('store-sqlite', path)],
    ['under another key', (path) => under('our-conversations', path)],
    ['in production', (path) => ({ args: ['--profile', 'production'], env: { WAGGLE_DB: path } })],
  ])('of a server that runs with it %s', async (name, optionsOf) => {
    const folder = tempFolder();
    const [path, copy] = [join(folder.path, 'c.sqlite'), join(folder.path, `it's a "copy".sqlite`)];
    const options = optionsOf(path);
    if (name !== 'in production') await written(path, undefined, options);
    else await written(path);
    expect(await backUp(copy, options)).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringContaining(copy),
    });
    expect(statSync(copy).mode & 0o077).toBe(0);
    expect(readdirSync(folder.path).filter((each) => each.includes('.part'))).toEqual([]);
    expect(await askedIn(copy)).toEqual(['one', 'two']);
  });

  it.each<[string, NodeJS.Signals]>([
    ['has stopped', 'SIGTERM'],
    ['was killed', 'SIGKILL'],
  ])('of a server that %s', async (_, ending) => {
    const folder = tempFolder();
    const [path, copy] = [join(folder.path, 'c.sqlite'), join(folder.path, 'copy.sqlite')];
    await written(path, ending);
    expect(await backUp(copy, inFile(path))).toMatchObject({ code: 0, stderr: '' });
    expect([path, `${path}-wal`].map((each) => existsSync(each))).toEqual([true, false]);
    expect(await askedIn(copy)).toEqual(['one', 'two']);
    expect(await askedIn(path)).toEqual(['one', 'two']);
  });

  it('of a copy, and what its server writes later is in neither of them', async () => {
    const folder = tempFolder();
    const [first, second, third] = ['1', '2', '3'].map((name) => join(folder.path, name)) as [
      string,
      string,
      string,
    ];
    const server = await startServer(inFile(first));
    await say(server, 'one');
    expect(await backUp(second, inFile(first))).toMatchObject({ code: 0 });
    await say(server, 'two');
    expect(await backUp(third, inFile(second))).toMatchObject({ code: 0 });
    await server.stop();
    expect(await Promise.all([first, second, third].map((each) => askedIn(each)))).toEqual([
      ['one', 'two'],
      ['one'],
      ['one'],
    ]);
  });

  it('while 50 conversations are written: every turn that had ended before, no half of one, and all sound', async () => {
    const folder = tempFolder();
    const [path, copy] = [join(folder.path, 'c.sqlite'), join(folder.path, 'copy.sqlite')];
    const server = await startServer(inFile(path));
    let isCopied = false;
    const users = Array.from({ length: 50 }, (_, index) => `u${index}`);
    const said = new Map(users.map((user) => [user, 0]));
    const talking = users.map(async (user) => {
      do {
        await say(server, `${said.get(user)}`, user);
        said.set(user, (said.get(user) ?? 0) + 1);
      } while (!isCopied);
    });
    await eventually(() => expect(Math.min(...said.values())).toBeGreaterThan(0));
    const before = new Map(said);
    expect(await backUp(copy, inFile(path))).toMatchObject({ code: 0 });
    isCopied = true;
    await Promise.all(talking);
    expect(await server.stop()).toBe(0);
    expect(server.stdout).not.toContain('could not be stored');
    const file = new Database(copy);
    expect(file.prepare('PRAGMA integrity_check').raw().all()).toEqual([['ok']]);
    file.close();
    const [copied, kept] = [await askedInEach(copy, users), await askedInEach(path, users)];
    for (const user of users) {
      const asked = copied.get(user) ?? [];
      expect(asked).toEqual(asked.map((_, index) => String(index)));
      expect(asked.length).toBeGreaterThanOrEqual(before.get(user) as number);
      expect(kept.get(user)).toHaveLength(said.get(user) as number);
    }
  });

  it('through a link, which two servers cannot get around', async () => {
    const folder = tempFolder();
    const [path, link] = [join(folder.path, 'c.sqlite'), join(folder.path, 'link.sqlite')];
    await written(path);
    symlinkSync(path, link);
    expect(await backUp(join(folder.path, 'copy'), inFile(link))).toMatchObject({ code: 0 });
    const second = await runWaggle('start', inFile(link));
    expect([await second.exited, second.stderr]).toEqual([
      1,
      expect.stringContaining('another Waggle has it open'),
    ]);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'or nothing: %s in the middle leaves no part of it',
    async (signal) => {
      const folder = tempFolder();
      const [path, copy] = [join(folder.path, 'c.sqlite'), join(folder.path, 'to', 'copy.sqlite')];
      mkdirSync(join(folder.path, 'to'));
      await writtenBefore(path);
      const file = new Database(path);
      const large = 'with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)';
      file.exec(`CREATE TABLE large AS ${large} SELECT hex(randomblob(500)) AS bytes FROM n`);
      file.close();
      const run = await runWaggle('backup', { ...inFile(path), args: [copy] });
      await eventually(() => expect(readdirSync(join(folder.path, 'to'))).not.toEqual([]));
      const code = await run.stop(signal);
      expect([0, 130]).toContain(code);
      expect(readdirSync(join(folder.path, 'to'))).toEqual(code === 0 ? ['copy.sqlite'] : []);
    },
  );
});

type Prepare = (folder: TempFolder, path: string, copy: string) => void | Promise<void>;

describe('`waggle backup` refuses with what is known', () => {
  const refused = async (expected: RegExp, prepare: Prepare, to = 'copy.sqlite') => {
    const folder = tempFolder();
    const [path, copy] = [join(folder.path, 'c.sqlite'), join(folder.path, to)];
    await prepare(folder, path, copy);
    const before = existsSync(path) && statSync(path).isFile() ? readFileSync(path) : undefined;
    const files = readdirSync(folder.path);
    const { code, stdout, stderr } = await backUp(copy, inFile(path));
    expect(stderr).toMatch(expected);
    expect(stderr).toMatch(/^waggle: cannot copy ".*" to ".*": .*\n$/);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    // All is as it was, but for SQLite's counter of changes.
    if (before) expect(readFileSync(path).subarray(100).equals(before.subarray(100))).toBe(true);
    expect(readdirSync(folder.path)).toEqual(files);
  };
  const server: Prepare = (_, path) => writtenBefore(path);

  it.each<[string, RegExp, Prepare, string?]>([
    [
      'a copy that is there',
      /copy\.sqlite" is there already/,
      async (folder, path) => {
        await writtenBefore(path);
        folder.write('copy.sqlite', 'dear');
      },
    ],
    ['the file itself', /c\.sqlite" is there already/, server, 'c.sqlite'],
    [
      'a folder',
      /folder" is there already/,
      async (folder, path) => {
        await writtenBefore(path);
        mkdirSync(join(folder.path, 'folder'));
      },
      'folder',
    ],
    [
      'a copy with the log of an earlier one beside it',
      /copy\.sqlite-wal" is there already/,
      async (folder, path) => {
        await writtenBefore(path);
        folder.write('copy.sqlite-wal', 'old');
      },
    ],
    ['a folder that does not exist', /the folder of the copy does not exist/, server, 'no/where/copy'],
    [
      'a folder that is a file',
      /the folder of the copy is a file/,
      async (folder, path) => {
        await writtenBefore(path);
        folder.write('file', '');
      },
      'file/copy',
    ],
    [
      'a folder that takes no files',
      /may not write|can only be read|the folder of the copy/,
      server,
      '../../sys/copy',
    ],
    ['a file that is not there', /there is no such file/, () => {}],
    ['a folder in place of the file', /there is no such file/, (_, path) => mkdirSync(path)],
    ['an empty file', /it holds nothing yet/, (_, path) => writeFileSync(path, '')],
    [
      'a file that is no database',
      /it is no database of Waggle/,
      (_, path) => writeFileSync(path, 'a letter to a friend\n'.repeat(100)),
    ],
    [
      'the database of another program',
      /the database of another program/,
      (_, path) => {
        const file = new Database(path);
        file.exec('CREATE TABLE theirs (x)');
        file.close();
      },
    ],
    [
      'a damaged file',
      /it is damaged|malformed/,
      async (_, path) => {
        await writtenBefore(path);
        writeFileSync(path, readFileSync(path).fill(0x41, 4096));
      },
    ],
  ])('%s', (_, expected, prepare, to) => refused(expected, prepare, to));

  it.runIf(hasMount)('a disk that is full, and leaves nothing on it', async () => {
    const disk = smallDisk('16k');
    const path = join(tempFolder().path, 'c.sqlite');
    await writtenBefore(path);
    expect(await backUp(join(disk, 'copy.sqlite'), inFile(path))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^waggle: cannot copy .*: the disk of the copy is full\n$/),
    });
    expect(readdirSync(disk)).toEqual([]);
    expect(await askedIn(path)).toEqual(['one', 'two']);
  });

  it.each<[string, CommandOptions, RegExp]>([
    ['no store in a file', {}, /^no plugin of this configuration keeps anything in a file/],
    [
      'one that is disabled',
      { config: { plugins: { 'store-sqlite': { enabled: false } } } },
      /^no plugin of this conf/,
    ],
    [
      'two of them',
      { config: { plugins: { a: { use: 'store-sqlite' }, b: { use: 'store-sqlite' } } } },
      /^more than one plugin can be copied: a, b/,
    ],
    [
      'a mistake in its config',
      { config: { plugins: { 'store-memory': { use: 'store-sqlite', config: { path: 7 } } } } },
      /store-memory\.path/,
    ],
    ['a mistake elsewhere', { config: 'plugin: {}' }, /plugin/],
  ])('a configuration with %s, with 78', async (_, options, expected) => {
    const copy = join(tempFolder().path, 'copy.sqlite');
    expect(await backUp(copy, options)).toEqual({
      code: 78,
      stdout: '',
      stderr: expect.stringMatching(expected),
    });
    expect(existsSync(copy)).toBe(false);
  });

  it('a file that another program has for itself, as a start does, and takes neither for a Waggle', async () => {
    const folder = tempFolder();
    const [path, copy] = [join(folder.path, 'c.sqlite'), join(folder.path, 'copy.sqlite')];
    await writtenBefore(path);
    const other = new Database(path);
    other.exec('BEGIN EXCLUSIVE');
    const failed = await backUp(copy, inFile(path));
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringMatching(/another program has it locked/) });
    expect(failed.stderr).not.toContain('another Waggle');
    const run = await runWaggle('start', inFile(path));
    expect(await run.exited).toBe(1);
    expect(run.stderr).toMatch(/another program has it locked; close it there/);
    expect(run.stderr).not.toContain('another Waggle');
    other.exec('ROLLBACK');
    other.close();
    expect(await askedIn(path)).toEqual(['one', 'two']);
  });
});
