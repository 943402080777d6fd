import { createServer } from 'node:http';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WaggleError } from '#kernel';
import { eventually } from '../../support/eventually.js';
import { rejection } from '../../support/kernel.js';
import { leakCheck } from '../../support/leaks.js';
import { McpServer, type McpServerOptions, tool } from '../../support/mcp-server.js';
import { times } from '../../support/thorough.js';
import { runTools } from '../../support/tool-tasks.js';

async function start(options: McpServerOptions): Promise<McpServer> {
  const server = await McpServer.start(options);
  onTestFinished(() => server.kill());
  return server;
}

/** Lets a server listen until the test ends. */
async function portOf(server: TcpServer): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

const rounds = times(200);
const reads = { annotations: { readOnlyHint: true } };
const repeats = { annotations: { idempotentHint: true } };
const hangs = () => new Promise<never>(() => {});

describe.each(['modern', 'legacy'] as const)('a server of the %s era that fails', (era) => {
  it('in the middle of a call fails that call at once and is connected again, once; others go on', async () => {
    const server = await start({ era, tools: [tool('waits', hangs), tool('quick')] });
    const other = await start({ era, tools: [tool('waits', hangs)] });
    const { run, engine, names, lines } = await runTools({ s: { url: server.url }, o: { url: other.url } });
    const before = names();
    const elsewhere = await engine.submit('mcp:o:waits', {});
    await other.until(() => other.calls[0], 'the call elsewhere');
    const lost = Array.from({ length: 5 }, () => rejection(run('mcp:s:waits')));
    await server.until(() => server.calls[4], 'the calls');
    const lists = server.lists;
    server.cut();
    for (const error of await Promise.all(lost)) {
      expect(WaggleError.is(error, 'TASK_FAILED')).toBe(true);
      expect(error.message).toMatch(/the MCP server "s": the connection ended/);
    }
    await eventually(async () => expect(await run('mcp:s:quick')).toBe('quick'));
    expect(names()).toEqual(before);
    expect(server.calls.filter(({ name }) => name === 'waits')).toHaveLength(5);
    expect(server.lists - lists).toBe(1);
    const connected = lines.filter(({ msg }) => msg === 'the MCP server is connected');
    expect(connected.map(({ mcpServer }) => mcpServer).sort()).toEqual(['o', 's', 's']);
    expect(elsewhere.state).toBe('running');
    await elsewhere.cancel();
  });

  it.each([
    ['changes nothing', reads],
    ['may be repeated', repeats],
  ])('in a call that %s is asked once more', async (_, more) => {
    const server = await start({
      era,
      tools: [tool('t', () => (server.calls.length === 1 ? hangs() : 'second'), more)],
    });
    const { run } = await runTools({ s: { url: server.url } });
    const result = run('mcp:s:t');
    await server.until(() => server.calls[0], 'the call');
    server.cut();
    expect(await result).toBe('second');
  });

  it('twice in such a call is not asked a third time', async () => {
    const server = await start({ era, tools: [tool('t', hangs, reads)] });
    const { run } = await runTools({ s: { url: server.url } });
    const failed = rejection(run('mcp:s:t'));
    for (const index of [0, 1]) {
      await server.until(() => server.calls[index], `call ${index}`);
      server.cut();
    }
    expect((await failed).message).toMatch(/the connection ended/);
    expect(server.calls).toHaveLength(2);
  });

  it('is waited for by a call, which no server has read: it is made when the server is back', async () => {
    const server = await start({ era, tools: [tool('writes')] });
    const { run, lines } = await runTools({ s: { url: server.url } }, { reconnectWaitMs: 20_000 });
    await server.kill();
    // From now on it is known to be away.
    await eventually(() =>
      expect(lines.some(({ mcpServer, level }) => mcpServer && level === 'warn')).toBe(true),
    );
    const result = run('mcp:s:writes');
    await server.listen();
    expect(await result).toBe('writes');
    expect(server.calls).toHaveLength(1);
  });

  it('and stays away keeps its tasks, whose calls say why they fail', async () => {
    const server = await start({ era, tools: [tool('t')] });
    const { run, names, lines } = await runTools({ s: { url: server.url } }, { reconnectWaitMs: 0 });
    await server.kill();
    await rejection(run('mcp:s:t'));
    await eventually(async () =>
      expect((await rejection(run('mcp:s:t'))).message).toBe(
        'task "mcp:s:t" failed: the MCP server "s": it is not connected (ECONNREFUSED)',
      ),
    );
    expect(names()).toEqual(['mcp:s:t']);
    const warnings = lines.filter(({ mcpServer, level }) => mcpServer && level === 'warn');
    expect(warnings.map(({ why }) => why).at(-1)).toBe('ECONNREFUSED');
  });

  it(`${rounds} times leaves nothing behind: no sockets, timers, listeners or sessions`, async () => {
    const leaks = leakCheck();
    const server = await start({ era, tools: [tool('t')] });
    const { run, kernel, lines } = await runTools(
      { s: { url: server.url } },
      { reconnectMaxMs: 1, reconnectWaitMs: 20_000 },
    );
    const connections = () => lines.filter(({ msg }) => msg === 'the MCP server is connected').length;
    for (let round = 1; round <= rounds; round++) {
      // The older era hears of a lost session with the next call.
      if (era === 'legacy') server.sessions.clear();
      else {
        server.cut();
        await expect.poll(connections, { interval: 1 }).toBe(round + 1);
      }
      expect(await run('mcp:s:t')).toBe('t');
      expect(connections()).toBe(round + 1);
    }
    expect(server.sockets.size).toBeLessThan(10);
    expect(server.sessions.size).toBeLessThan(3);
    await kernel.stop();
    expect(server.sessions.size).toBe(0);
    await server.kill();
    await leaks.settled();
  }, 240_000);
});

describe('a server', () => {
  it('that never answers delays the start by no more than its limit, and comes later', async () => {
    const silent = createTcpServer(() => {});
    const port = await portOf(silent);
    const late = await McpServer.start({ era: 'modern', tools: [tool('late')] });
    await late.kill();
    const good = await start({ era: 'modern', tools: [tool('good')] });
    const servers = {
      silent: { url: `http://127.0.0.1:${port}/mcp` },
      late: { url: late.url },
      good: { url: good.url },
    };
    const { untilTasks, kernel } = await runTools(servers, { startWaitMs: 50, connectTimeoutMs: 600_000 });
    await untilTasks('mcp:good:good');
    await late.listen();
    await untilTasks('mcp:good:good', 'mcp:late:late');
    await kernel.stop();
    await late.kill();
  });

  it('that has forgotten its sessions gets a new one, and the call is made', async () => {
    const server = await start({ era: 'legacy', tools: [tool('writes')] });
    const { run } = await runTools({ s: { url: server.url } }, { reconnectWaitMs: 20_000 });
    server.sessions.clear();
    expect(await run('mcp:s:writes')).toBe('writes');
    expect(server.calls).toHaveLength(1);
  });

  it('whose list changes all the time is read at a pace', async () => {
    const server = await start({ era: 'modern', tools: [tool('t0')] });
    const { untilTasks } = await runTools({ s: { url: server.url } });
    const before = server.lists;
    for (let round = 1; round <= 500; round++) server.setTools([tool(`t${round}`)]);
    await untilTasks('mcp:s:t500');
    expect(server.lists - before).toBeLessThan(20);
  });

  it('that changes its list whenever it is read keeps its client from nothing else', async () => {
    const server = await start({ era: 'modern', tools: [tool('t')] });
    const { run } = await runTools({ s: { url: server.url } });
    const change = () => server.setTools([tool('t')]);
    const before = server.lists;
    change();
    const calls = times(300);
    for (let call = 0; call < calls; call++) {
      expect(await run('mcp:s:t')).toBe('t');
      change();
    }
    expect(server.lists - before).toBeLessThan(calls / 3);
  });

  it('goes round in circles with its pages, and is left', async () => {
    const server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk) => (text += chunk));
      request.on('end', () => {
        const { id, method } = text ? JSON.parse(text) : ({} as never);
        const results: Record<string, object> = {
          initialize: {
            protocolVersion: '2025-11-25',
            capabilities: { tools: {} },
            serverInfo: { name: 'x', version: '1' },
          },
          'tools/list': { tools: [{ name: 't', inputSchema: { type: 'object' } }], nextCursor: 'again' },
        };
        if (!results[method]) return void response.writeHead(id === undefined ? 202 : 400).end();
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result: results[method] }));
      });
    });
    const port = await portOf(server);
    const { names } = await runTools({ s: { url: `http://127.0.0.1:${port}/` } });
    expect(names()).toEqual(['mcp:s:t']);
  });

  it('gets the headers of the config, which no log and no message shows', async () => {
    const secret = 'Bearer sesame-open-4711';
    const server = await start({
      era: 'modern',
      tools: [
        tool('tells', () => ({
          isError: true,
          content: [{ type: 'text', text: `no: ${secret} and sesame-open-4711` }],
        })),
      ],
    });
    const config = { url: `${server.url}?key=query-secret-1`, headers: { authorization: secret } };
    const { run, lines } = await runTools({ s: config }, { reconnectWaitMs: 0 });
    expect((await rejection(run('mcp:s:tells'))).message).toMatch(/failed: no: \*\*\* and \*\*\*$/);
    expect(server.requests.every(({ headers }) => headers.authorization === secret)).toBe(true);
    await server.kill();
    for (const _ of [1, 2]) await rejection(run('mcp:s:tells'));
    expect(JSON.stringify(lines)).not.toMatch(/sesame|query-secret/);
  });

  it('that refuses the credentials is asked for its tools again, and named in the log', async () => {
    const server = createServer((_, response) => void response.writeHead(401).end());
    const port = await portOf(server);
    const { lines, names } = await runTools({ s: { url: `http://127.0.0.1:${port}/` } });
    const warnings = lines.filter(({ level, mcpServer }) => level === 'warn' && mcpServer === 's');
    expect(warnings.map(({ why }) => why)).toEqual(['it refuses the credentials (status 401)']);
    expect(names()).toEqual([]);
  });
});
