import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'libsql';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { tempFolder } from '../support/kernel.js';
import { type RunningServer, startServer } from '../support/server.js';
import { hasMount, smallDisk } from '../support/small-disk.js';
import { isThorough } from '../support/thorough.js';
import { call } from '../support/transport.js';

/** A server that keeps conversations in this file, with one turn in it. */
async function startIn(path: string): Promise<RunningServer> {
  const server = await startServer({
    config: { plugins: { 'store-memory': { use: 'store-sqlite', config: { path } } } },
  });
  expect(await say(server)).toBe(200);
  return server;
}

async function say(server: RunningServer, content = 'Hallo'): Promise<number> {
  const body = JSON.stringify({ content, user_id: 'ann', conversation_id: 'c' });
  const { status } = await call(server.port, { method: 'POST', path: '/chat', body });
  return status;
}

async function kept(server: RunningServer): Promise<number> {
  const { json } = await call(server.port, { path: '/conversations/c/messages?user_id=ann' });
  return json.messages.length;
}

const linesOf = ({ logs }: RunningServer, text: string) => logs.filter(({ msg }) => msg === text);

async function untilReady(server: RunningServer, status: number): Promise<readonly string[]> {
  return eventually(async () => {
    const answer = await call(server.port, { path: '/ready' });
    expect(answer.status).toBe(status);
    return answer.json.reasons as readonly string[];
  });
}

/** What was seen once, at the beginning and at the end, however many turns could not be kept meanwhile. */
function expectOneLineEach(server: RunningServer, ends: number): void {
  expect(linesOf(server, 'conversations are not kept')).toHaveLength(1);
  expect(linesOf(server, 'conversations are kept again')).toHaveLength(ends);
}

const gone = (which: string) =>
  new RegExp(`^conversations are not kept: ${which} was deleted, moved or replaced`);

describe('a file that is lost while the server runs is in /ready and in the log, without a turn', () => {
  const losses: readonly (readonly [how: string, reason: RegExp, lose: (path: string) => void])[] = [
    ['deleted', gone('the file'), (path) => rmSync(path)],
    [
      'deleted with all beside it',
      gone('the file'),
      (path) => {
        for (const ending of ['', '-wal', '-shm', '-lock']) rmSync(path + ending);
      },
    ],
    ['moved', gone('the file'), (path) => renameSync(path, `${path}.old`)],
    [
      'replaced',
      gone('the file'),
      (path) => {
        writeFileSync(`${path}.new`, '');
        renameSync(`${path}.new`, path);
      },
    ],
    [
      'replaced by a folder',
      gone('the file'),
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
    ['in a folder that was deleted', gone('the file'), (path) => rmSync(dirname(path), { recursive: true })],
    [
      'in a folder that was moved',
      gone('the file'),
      (path) => renameSync(dirname(path), `${dirname(path)}.old`),
    ],
    ['without its log', gone('the file beside it whose name ends in -wal'), (path) => rmSync(`${path}-wal`)],
    [
      'without its index',
      gone('the file beside it whose name ends in -shm'),
      (path) => rmSync(`${path}-shm`),
    ],
    [
      'without its lock',
      gone('the file beside it whose name ends in -lock'),
      (path) => rmSync(`${path}-lock`),
    ],
  ];
  it.each(isThorough ? losses : losses.filter((_, at) => at % 2 === 0))('%s', async (_, reason, lose) => {
    const path = join(tempFolder().path, 'in', 'c.sqlite');
    const server = await startIn(path);
    expect(await untilReady(server, 200)).toEqual([]);
    lose(path);
    const reasons = await untilReady(server, 503);
    expect(reasons).toEqual([expect.stringMatching(reason)]);
    expect(reasons.join()).not.toContain(dirname(path));
    for (let turn = 0; turn < 3; turn++) expect(await say(server)).toBe(200);
    expect(await kept(server)).toBe(2);
    expectOneLineEach(server, 0);
    expect(await server.stop()).toBe(0);
  });
});

const canLimit = spawnSync('prlimit', ['--version']).status === 0;

/** Takes from a server what it needs; undone, it has that again. */
type Shortage = readonly [
  what: string,
  reason: RegExp,
  begin: (path: string, server: RunningServer) => () => void,
];

const limit = (pid: number, bytes: number | string) =>
  execFileSync('prlimit', ['--pid', `${pid}`, `--fsize=${bytes}:unlimited`]);

const lock = (begin: string) => (path: string) => {
  const other = new Database(path);
  other.exec(begin);
  return () => {
    other.exec('ROLLBACK');
    other.close();
  };
};

const shortages: readonly Shortage[] = [
  [
    'the file is moved',
    gone('the file'),
    (path) => {
      renameSync(path, `${path}.old`);
      return () => renameSync(`${path}.old`, path);
    },
  ],
  [
    'its folder is moved',
    gone('the file'),
    (path) => {
      renameSync(dirname(path), `${dirname(path)}.old`);
      return () => renameSync(`${dirname(path)}.old`, dirname(path));
    },
  ],
  ['another program writes it', /another program has it locked/, lock('BEGIN IMMEDIATE')],
  ['another program has it for itself', /another program has it locked/, lock('BEGIN EXCLUSIVE')],
];
const limited: readonly Shortage[] = [
  [
    'no file may be larger',
    /the disk takes or gives nothing/,
    (path, { pid }) => {
      limit(pid, statSync(`${path}-wal`).size);
      return () => limit(pid, 'unlimited');
    },
  ],
  [
    'no file may be larger than a little more',
    /the disk takes or gives nothing/,
    (path, { pid }) => {
      limit(pid, statSync(`${path}-wal`).size + 5000);
      return () => limit(pid, 'unlimited');
    },
  ],
];
const full = /^conversations are not kept: the disk is full$/;
/** Leaves that much of a disk. */
const fill = (path: string, leftBytes = 0) => {
  const filler = join(dirname(path), 'filler');
  spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k']);
  truncateSync(filler, statSync(filler).size - leftBytes);
  return filler;
};
const mounted: readonly Shortage[] = [
  [
    'another program has filled the disk',
    full,
    (path) => {
      const filler = fill(path);
      return () => rmSync(filler);
    },
  ],
  [
    'the disk has room for less than a turn',
    full,
    (path) => {
      const filler = fill(path, 16_384);
      return () => rmSync(filler);
    },
  ],
  [
    'the disk is full until it is made larger',
    full,
    (path) => {
      fill(path);
      return () => void execFileSync('mount', ['-o', 'remount,size=16m', dirname(path)]);
    },
  ],
];

describe('a file that takes nothing for a while is in /ready and in the log, and comes back by itself', () => {
  const passes = async (path: string, reason: RegExp, begin: Shortage[2]) => {
    const server = await startIn(path);
    const end = begin(path, server);
    const long = 'long '.repeat(4000);
    for (let turn = 0; turn < 3; turn++) expect(await say(server, long)).toBe(200);
    expect(await untilReady(server, 503)).toEqual([expect.stringMatching(reason)]);
    expect(await say(server, long)).toBe(200);
    expect(await kept(server)).toBe(2);
    expectOneLineEach(server, 0);
    end();
    // Nobody writes meanwhile: a server that is not ready is asked nothing.
    expect(await untilReady(server, 200)).toEqual([]);
    expect(await say(server, long)).toBe(200);
    expect(await kept(server)).toBe(4);
    expectOneLineEach(server, 1);
    expect(await server.stop()).toBe(0);
  };

  it.each(isThorough ? shortages : shortages.filter((_, at) => at % 2 === 0))('when %s', (_, reason, begin) =>
    passes(join(tempFolder().path, 'in', 'c.sqlite'), reason, begin),
  );

  it.runIf(canLimit).each(limited)('when %s', (_, reason, begin) =>
    passes(join(tempFolder().path, 'c.sqlite'), reason, begin),
  );

  it.runIf(hasMount).each(mounted)('when %s', (_, reason, begin) =>
    passes(join(smallDisk('4m'), 'c.sqlite'), reason, begin),
  );
});
