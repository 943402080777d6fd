import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse, stringify } from 'yaml';
import type { Stats } from '../../plugins/monitor-console/docs.js';
import { ApiDocument } from '../support/api-document.js';
import { eventually } from '../support/eventually.js';
import { startFakeOllama } from '../support/fake-ollama/index.js';
import { tempFolder } from '../support/kernel.js';
import { type LogLine, only, type RunningServer, startServer } from '../support/server.js';
import { hasTerminal, TerminalProcess } from '../support/terminal.js';
import { isThorough } from '../support/thorough.js';
import { call } from '../support/transport.js';
import { WsClient } from '../support/ws-client.js';

/** A server whose model gives one token and then nothing more. */
async function startStalling(): Promise<RunningServer> {
  const fake = await startFakeOllama();
  onTestFinished(() => fake.close());
  return startServer({
    env: { OLLAMA_HOST: fake.url },
    config: { plugins: { 'monitor-console': { config: { intervalMs: 20 } } } },
  });
}

function isStats(line: LogLine): line is LogLine & Required<Stats> {
  return line.msg === 'stats';
}

describe('the statistics of a server', () => {
  it('are logged and answered, say what goes on while it does, and that it is over', async () => {
    const server = await startStalling();
    const stats = () => call(server.port, { path: '/stats' });
    const clients = await Promise.all(['a', 'b'].map((id) => WsClient.connect(`${server.ws}/${id}`)));
    for (const client of clients)
      client.send({ type: 'stream_request', content: 'Hallo', model: 'stall?k=1' });
    for (const client of clients) await client.until(({ type }) => type === 'streaming_token');
    const busy = {
      connections: { open: 2, limit: 1000 },
      streams: { running: 2, readers: 2 },
      tasks: { running: 2 },
    };
    expect((await stats()).json).toMatchObject(busy);
    await server.untilLog((line) => isStats(line) && line.streams.tokensPerSecond > 0);
    await server.untilLog((line) => isStats(line) && line.tasks.running === 2);

    for (const client of clients) {
      const { streamId } = await client.until(({ type }) => type === 'streaming_start');
      client.send({ type: 'cancel', streamId });
      await client.until(({ type }) => type === 'cancelled');
      await client.close();
    }
    const { uptimeMs } = (await stats()).json;
    const quiet = {
      connections: { open: 0 },
      streams: { running: 0, waiting: 0, kept: 2, readers: 0, tokensPerSecond: 0 },
      tasks: { running: 0, waiting: 0, failed: 0, rejected: 0, perSecond: 0 },
    };
    const line = await server.untilLog((each) => {
      if (!isStats(each) || each.uptimeMs < uptimeMs) return false;
      const { connections, streams, tasks } = each;
      const rates = [streams.tokensPerSecond, tasks.perSecond];
      return [connections.open, streams.readers, tasks.running, ...rates].every((figure) => figure === 0);
    });
    expect(line).toMatchObject(quiet);
    expect((await stats()).json).toMatchObject(quiet);
    expect(await server.stop()).toBe(0);
    expect(server.stdout).not.toContain('\x1b');
  });

  it('are as documented, and the overview names them', async () => {
    const server = await startStalling();
    const document = new ApiDocument((await call(server.port, { path: '/openapi.json' })).json);
    const answer = await call(server.port, { path: '/stats' });
    expect(document.judge('GET', '/stats', answer)).toBe('GET /stats 200');
    expect((await call(server.port, { path: '/' })).json.endpoints).toMatchObject({ stats: '/stats' });
    await server.stop();
  });
});

const cli = fileURLToPath(new URL('../../dist/kernel/cli.js', import.meta.url));

const chat = [
  'store-memory',
  'agent-ollama',
  'agent-eliza',
  'tasks-tinypool',
  'agent-queen',
  'streams-memory',
];
const few = only('transport-uws', 'endpoint-chat', 'endpoint-ws', 'limits-memory', ...chat);

/** A server in a terminal, in which a shell goes on when it has ended. */
async function startInTerminal({ config = '{}', env = {}, rows = 24, columns = 80 } = {}) {
  const plugins = { ...few, 'monitor-console': { config: parse(config) } };
  const file = tempFolder().write('terminal.yaml', stringify({ server: { logFormat: 'json' }, plugins }));
  const start = `exec "${process.execPath}" "${cli}" start --config "${file}"`;
  const terminal = new TerminalProcess(
    `sh -c 'echo pid $$ on $(tty); ${start}'; echo "ended with $?, $(stty size)"`,
    { rows, columns, env: { HOST: '127.0.0.1', PORT: '0', OLLAMA_HOST: 'http://127.0.0.1:9', ...env } },
  );
  const [pid, tty] = await terminal.until(({ output }) => /pid (\d+) on (\S+)/.exec(output)?.slice(1));
  const port = await terminal.until(({ output }) => /"port":(\d+),/.exec(output)?.[1]);
  await terminal.until(({ output }) => output.includes('"started"'));
  return { terminal, pid: Number(pid), tty: tty as string, port: Number(port) };
}

/** What is on the screen: rows of the log, as many as have something in them, and the table below. */
function partsOf({ screen }: TerminalProcess) {
  const top = screen.lines.findIndex((line) => line.startsWith('── waggle ── up '));
  const at = top === -1 ? screen.rows : top;
  return { log: screen.lines.slice(0, at).filter(Boolean), table: screen.lines.slice(at) };
}

/** The labels of the table at the bottom, once all of it is there. */
function tableOf(terminal: TerminalProcess): readonly string[] | undefined {
  const { table } = partsOf(terminal);
  if (!table.at(-1) || !table.some((line) => line.startsWith('memory MB'))) return undefined;
  const labels = table.slice(1).map((line) => line.slice(0, 11).trim());
  // On a narrow terminal a row goes on below its label.
  return labels.filter(Boolean);
}

/** A terminal breaks a line of the log where it is full, and be it before the last character. */
function expectWholeLine(rows: readonly string[]): void {
  expect(rows.at(-1)).toMatch(/./);
  expect(rows.join('')).toMatch(/"\}$/);
}

/** Nothing of the table is left, and the terminal does what it did before. */
function expectUsable({ screen }: TerminalProcess, ending: string): void {
  expect(screen).toMatchObject({ region: [0, screen.rows - 1], wraps: true, showsCursor: true });
  const lines = screen.lines.slice(0, screen.cursor.row);
  expect(screen.lines.slice(lines.length).join('')).toBe('');
  expect(lines.filter((line) => /waggle ──|^memory MB/.test(line))).toEqual([]);
  expect(lines.at(-1)).toBe(ending);
  // Right below the log.
  expectWholeLine(lines.slice(0, -1));
}

const ask = (port: number) =>
  call(port, { method: 'POST', path: '/chat', body: '{"content":"Hallo","user_id":"u"}' });
const finished = ({ output }: TerminalProcess) => output.split('"reply finished"').length - 1;

describe.runIf(hasTerminal)('on a terminal', () => {
  const sizes: readonly (readonly [rows: number, columns: number])[] = [
    [24, 80],
    [40, 40],
    [60, 20],
    [24, 79],
    [24, 81],
    [40, 200],
  ];
  it.each(isThorough ? sizes : sizes.slice(0, 3))(
    'a table stays at the bottom while the log scrolls above it: %i × %i',
    async (rows, columns) => {
      const { terminal, pid, port } = await startInTerminal({
        config: '{ tableIntervalMs: 20 }',
        rows,
        columns,
      });
      const labels = await terminal.until(tableOf);
      expect(labels).toEqual([
        'connections',
        'streams',
        'tasks',
        'queue',
        'workers',
        'per second',
        'loop lag ms',
        'memory MB',
      ]);
      for (let count = 1; count <= 12; count++) {
        await ask(port);
        // A line of the log may arrive in parts.
        await terminal.until((all) => finished(all) === count && all.screen.cursor.column === 0);
        expect(tableOf(terminal)).toEqual(labels);
        expectWholeLine(partsOf(terminal).log);
      }
      const shows = (cell: RegExp) =>
        terminal.until((all) => partsOf(all).table.some((line) => cell.test(line)));
      if (columns >= 40) await shows(/ kept +12( |$)/);
      if (columns >= 40) await shows(/^per second .* 0\.0/);
      process.kill(pid, 'SIGTERM');
      expect(await terminal.exited).toBe(0);
      expectUsable(terminal, `ended with 0, ${rows} ${columns}`);
      expect(terminal.output).not.toContain('"stats"');
    },
  );

  it('the table follows the size of the terminal', async () => {
    const { terminal, pid, tty } = await startInTerminal({ config: '{ tableIntervalMs: 20 }' });
    await terminal.until(tableOf);
    for (const [rows, columns] of [
      [40, 120],
      [20, 50],
    ] as const) {
      terminal.screen.resize(rows, columns);
      execFileSync('stty', ['-F', tty, 'rows', `${rows}`, 'columns', `${columns}`]);
      await terminal.until((all) => {
        const titles = all.screen.lines.filter((line) => line.startsWith('── waggle'));
        return tableOf(all) && titles.length === 1 && titles[0]?.length === columns;
      });
    }
    process.kill(pid, 'SIGTERM');
    await terminal.exited;
    expectUsable(terminal, 'ended with 0, 20 50');
  });

  it('the terminal is given back by an end without a stop', async () => {
    const fake = await startFakeOllama();
    const { terminal, pid, port } = await startInTerminal({ env: { OLLAMA_HOST: fake.url } });
    await terminal.until(tableOf);
    const client = await WsClient.connect(`ws://127.0.0.1:${port}/ws/a`);
    client.send({ type: 'stream_request', content: 'Hallo', model: 'stall?k=1' });
    await client.until(({ type }) => type === 'streaming_token');
    process.kill(pid, 'SIGTERM');
    await client.until(({ type }) => type === 'server_draining');
    process.kill(pid, 'SIGTERM');
    await terminal.exited;
    expectUsable(terminal, 'ended with 130, 24 80');
    await fake.close();
  });

  it('the terminal is given back while the process is suspended', async () => {
    const { terminal, pid } = await startInTerminal();
    await terminal.until(tableOf);
    process.kill(pid, 'SIGTSTP');
    await terminal.until(({ screen }) => screen.region[1] === 23);
    expect(tableOf(terminal)).toBeUndefined();
    await eventually(() => expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toMatch(/\) T /));
    process.kill(pid, 'SIGCONT');
    await terminal.until(tableOf);
    process.kill(pid, 'SIGTERM');
    await terminal.exited;
    expectUsable(terminal, 'ended with 0, 24 80');
  });

  it.each([
    ['the terminal can only write lines', { env: { TERM: 'dumb' }, config: '{ intervalMs: 20 }' }],
    ['the config says so', { config: '{ intervalMs: 20, table: off }' }],
  ])('there are lines in place of a table where %s', async (_, options) => {
    const { terminal, pid } = await startInTerminal(options);
    await terminal.until(({ output }) => output.includes('"stats"'));
    process.kill(pid, 'SIGTERM');
    await terminal.exited;
    expect(terminal.output).not.toContain('\x1b');
  });
});

describe.runIf(hasTerminal)('the log on a terminal', () => {
  it.each([
    ['for people', {}, /.\[32mINFO .\[0m started .\[2mversion=/],
    ['without colours', { NO_COLOR: '1' }, /\n\d\d:\d\d:\d\d\.\d{3} INFO {2}started version=/],
    ['JSON for a program', { TERM: 'dumb' }, /\n\{"level":"info",.*"msg":"started"\}/],
  ])('is written %s', async (_, env, expected) => {
    const file = tempFolder().write(
      'off.yaml',
      stringify({ plugins: { ...few, 'monitor-console': { enabled: false } } }),
    );
    const terminal = new TerminalProcess(
      `sh -c 'echo pid $$; exec "${process.execPath}" "${cli}" start --config "${file}"'`,
      {
        rows: 24,
        columns: 200,
        env: { HOST: '127.0.0.1', PORT: '0', OLLAMA_HOST: 'http://127.0.0.1:9', ...env },
      },
    );
    const pid = await terminal.until(({ output }) => /pid (\d+)/.exec(output)?.[1]);
    await terminal.until(({ output }) => expected.test(output));
    process.kill(Number(pid), 'SIGTERM');
    await terminal.exited;
  });
});
