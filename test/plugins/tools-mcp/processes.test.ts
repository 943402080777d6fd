import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../support/eventually.js';
import { rejection, tempFolder } from '../../support/kernel.js';
import { leakCheck } from '../../support/leaks.js';
import { times } from '../../support/thorough.js';
import { runTools } from '../../support/tool-tasks.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/mcp/${name}`, import.meta.url));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const rounds = times(20);

/** The config of a server process, and what it has noted. */
function processOf(...flags: readonly string[]) {
  const folder = tempFolder();
  const log = `${folder.path}/log`;
  const notes = () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);
  return {
    config: { command: process.execPath, args: [fixture('server.mjs'), log, ...flags] },
    folder,
    notes,
    pids: () => notes().flatMap((note) => (note.startsWith('pid ') ? [Number(note.slice(4))] : [])),
  };
}

describe('a server that is a process', () => {
  it('gives its tools, and ends with the plugin', async () => {
    const leaks = leakCheck();
    const { config, notes, pids } = processOf();
    const { run, kernel } = await runTools({ s: config }, { startWaitMs: 9000 });
    expect(await run('mcp:s:echo', { text: 'hello' })).toBe('hello');
    await kernel.stop();
    expect(pids().map(isAlive)).toEqual([false]);
    expect(notes()).toContain('end');
    await leaks.settled();
  });

  it('is ended by SIGTERM and then SIGKILL where it does not end by itself', async () => {
    const { config, notes, pids } = processOf('stubborn');
    const { kernel } = await runTools({ s: config }, { startWaitMs: 9000, closeGraceMs: 50 });
    await kernel.stop();
    expect(notes()).toEqual([expect.stringMatching(/^pid/), 'end', 'SIGTERM']);
    expect(pids().map(isAlive)).toEqual([false]);
  });

  it('gets the environment of its config, and none of the keys of this process', async () => {
    process.env.WAGGLE_TEST_KEY = 'of another';
    try {
      const { config } = processOf();
      const { run } = await runTools(
        { s: { ...config, env: { TOKEN: 'sesame-1234' } } },
        { startWaitMs: 9000 },
      );
      const names = (await run('mcp:s:environment')) as string;
      expect(names.split(',')).toContain('TOKEN');
      expect(names.split(',')).toContain('PATH');
      expect(names).not.toContain('WAGGLE_TEST_KEY');
    } finally {
      delete process.env.WAGGLE_TEST_KEY;
    }
  });

  it('that dies in the middle of a call is started again: the call fails, the tasks stay, others go on', async () => {
    const one = processOf();
    const other = processOf();
    const hive = await runTools({ one: one.config, other: other.config }, { startWaitMs: 9000 });
    const waiting = await hive.engine.submit('mcp:other:waits', {});
    await eventually(() => expect(other.notes()).toContain('call waits'));
    const before = hive.names();
    const error = await rejection(hive.run('mcp:one:dies'));
    expect(error.message).toBe('task "mcp:one:dies" failed: the MCP server "one": the connection ended');
    expect(hive.names()).toEqual(before);
    await eventually(async () => expect(await hive.run('mcp:one:echo')).toBe('echo'));
    // It was not tried again, and one process has followed.
    expect(one.notes().filter((note) => note === 'call dies')).toHaveLength(1);
    expect(one.pids()).toHaveLength(2);
    expect(waiting.state).toBe('running');
    expect(other.pids()).toHaveLength(1);
    await waiting.cancel();
    await eventually(() => expect(other.notes()).toContain('cancelled'));
  });

  it('that dies in a call that changes nothing is asked again', async () => {
    const { config, folder, notes, pids } = processOf();
    const { run } = await runTools({ s: config }, { startWaitMs: 9000, reconnectWaitMs: 10_000 });
    expect(await run('mcp:s:dies-once', { once: `${folder.path}/once` })).toBe('dies-once');
    expect(notes().filter((note) => note === 'call dies-once')).toHaveLength(2);
    expect(pids()).toHaveLength(2);
  });

  it('of the older era, which ends when it is asked for the newer one, is asked for the older one from then on', async () => {
    const old = { command: process.execPath, args: [fixture('old-server.mjs')] };
    const { run, untilTasks, lines } = await runTools({ old }, { startWaitMs: 9000, reconnectWaitMs: 5000 });
    await untilTasks('mcp:old:crash');
    const warnings = () => lines.filter(({ level, mcpServer }) => level === 'warn' && mcpServer === 'old');
    expect(warnings()).toEqual([]);
    for (const _ of [1, 2]) await rejection(run('mcp:old:crash'));
    const ended = 'its process ended with code 3';
    expect(warnings().map(({ why }) => why)).toEqual([ended, ended]);
  });

  it(`that dies ${10 * rounds} times leaves nothing behind: no processes, pipes, timers or listeners`, async () => {
    const leaks = leakCheck();
    const old = { command: process.execPath, args: [fixture('old-server.mjs')] };
    const servers = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`s${index}`, old]));
    const { run, kernel, lines, untilTasks } = await runTools(servers, {
      startWaitMs: 9000,
      reconnectWaitMs: 50_000,
    });
    const names = Object.keys(servers).map((name) => `mcp:${name}:crash`);
    await untilTasks(...names);
    for (let round = 0; round < rounds; round++)
      for (const error of await Promise.all(names.map((name) => rejection(run(name)))))
        expect(error.message).toMatch(/the connection ended$/);
    expect(lines.filter(({ why }) => why === 'its process ended with code 3')).toHaveLength(10 * rounds);
    await kernel.stop();
    await leaks.settled();
  }, 240_000);

  it('that cannot be started is no more than a warning', async () => {
    const good = processOf();
    const bad = { command: '/no/such/program' };
    const { names, lines } = await runTools({ bad, good: good.config }, { startWaitMs: 9000 });
    expect(names()).toContain('mcp:good:echo');
    const warnings = lines.filter(({ level, mcpServer }) => level === 'warn' && mcpServer);
    expect(warnings.map(({ mcpServer, why }) => [mcpServer, why])).toEqual([
      ['bad', 'its process could not be started (ENOENT)'],
    ]);
  });

  it('writes its error output to the log: bounded, and without secrets', async () => {
    const { config } = processOf();
    const { run, lines } = await runTools(
      { s: { ...config, env: { TOKEN: 'sesame-1234' } } },
      { startWaitMs: 9000 },
    );
    await run('mcp:s:floods');
    const said = () => lines.filter(({ msg }) => msg === 'the MCP server says');
    await eventually(() => expect(said().length).toBeGreaterThan(50));
    expect(said()[0]).toMatchObject({ level: 'debug', mcpServer: 's', line: 'secret ***' });
    expect(said().length).toBeLessThan(300);
    expect(JSON.stringify(lines)).not.toContain('sesame');
  });
});
