import { describe, expect, it, onTestFinished } from 'vitest';
import { WaggleError } from '#kernel';
import { jsonSchemaOf } from '#sdk';
import { rejection } from '../../support/kernel.js';
import { McpServer, type McpServerOptions, type ScriptedTool, tool } from '../../support/mcp-server.js';
import { runTools } from '../../support/tool-tasks.js';

async function start(options: McpServerOptions): Promise<McpServer> {
  const server = await McpServer.start(options);
  onTestFinished(() => server.kill());
  return server;
}

const numbers = {
  type: 'object',
  properties: { a: { type: 'number' }, b: { type: 'number' } },
  required: ['a', 'b'],
};

describe.each(['modern', 'legacy'] as const)('the tools of a server of the %s era', (era) => {
  const serve = (tools: readonly ScriptedTool[], more: Partial<McpServerOptions> = {}) =>
    start({ era, tools, ...more });

  it('are tasks that models may call, with the description and the schema of the server', async () => {
    const add = tool('add', ({ a, b }) => String(Number(a) + Number(b)), { inputSchema: numbers });
    const server = await serve([add]);
    const { tasks, run } = await runTools({ math: { url: server.url } });
    const task = tasks.get('mcp:math:add');
    expect(task).toMatchObject({ description: 'The tool add', lane: 'main', tool: true });
    expect(task?.exposed).toBeUndefined();
    expect(task?.input && jsonSchemaOf(task.input)).toEqual(numbers);
    expect(await run('mcp:math:add', { a: 1, b: 2 })).toBe('3');
  });

  it('get only arguments that match their schema', async () => {
    const server = await serve([tool('add', undefined, { inputSchema: numbers })]);
    const { run } = await runTools({ math: { url: server.url } });
    const error = await rejection(run('mcp:math:add', { a: 'one' }));
    expect(WaggleError.is(error, 'INVALID_REQUEST')).toBe(true);
    expect(error.message).toBe("invalid request: input: must have required property 'b', a must be number");
    expect(server.calls).toEqual([]);
  });

  it('come page by page, up to the limit', async () => {
    const tools = Array.from({ length: 25 }, (_, index) => tool(`t${index}`));
    const server = await serve(tools, { pageSize: 4 });
    const all = await runTools({ many: { url: server.url } });
    expect(all.names()).toHaveLength(25);
    const some = await runTools({ many: { url: server.url } }, { maxTools: 10 });
    expect(some.names()).toHaveLength(10);
    expect(some.lines.find(({ level }) => level === 'warn')).toMatchObject({
      tools: ['more than the limit "maxTools"'],
    });
  });

  it('change with the list: those that stay keep their runs', async () => {
    let go = (_: string) => {};
    const waits = tool('stay', () => new Promise((resolve) => (go = resolve)));
    const server = await serve([waits, tool('old')]);
    const hive = await runTools({ s: { url: server.url } });
    await hive.untilTasks('mcp:s:stay', 'mcp:s:old');
    const running = hive.run('mcp:s:stay');
    await server.until(() => server.calls[0], 'the call');
    server.setTools([waits, tool('new')]);
    await hive.untilTasks('mcp:s:stay', 'mcp:s:new');
    go('done');
    expect(await running).toBe('done');
    expect(await hive.run('mcp:s:new')).toBe('new');
    server.setTools([waits, tool('new', () => 'newer', { description: 'Another' })]);
    await expect.poll(() => hive.tasks.get('mcp:s:new')?.description).toBe('Another');
    expect(await hive.run('mcp:s:new')).toBe('newer');
  });

  it('have names that tasks may have; the second of one name is left out, and so is one that is too long', async () => {
    const tools = [tool('öl & gas/preis'), tool('_l _ gas_preis'), tool('x'.repeat(125)), tool('ok.1-2')];
    const server = await serve(tools);
    const { names, run, lines } = await runTools({ s: { url: server.url } });
    expect(names()).toEqual(['mcp:s:_l___gas_preis', 'mcp:s:ok.1-2']);
    expect(await run('mcp:s:_l___gas_preis')).toBe('öl & gas/preis');
    const [warning] = lines.filter(({ level }) => level === 'warn');
    expect(warning?.tools).toEqual([
      expect.stringMatching(/^_l _ gas_preis: "öl & gas\/preis" has the same name/),
      expect.stringMatching(/^x+: its name is too long$/),
    ]);
  });

  it('that are none, or whose schema is none, are left out alone', async () => {
    const wrong = [
      { definition: { name: 'no schema' } },
      { definition: { name: 'list', inputSchema: { type: 'array' } } },
      { definition: { inputSchema: { type: 'object' } } },
      { definition: 'text' as never },
      tool('bad type', undefined, { inputSchema: { type: 'object', properties: { a: { type: 'strin' } } } }),
      tool('bad pattern', undefined, {
        inputSchema: { type: 'object', properties: { a: { pattern: '(' } } },
      }),
      tool('no target', undefined, { inputSchema: { type: 'object', properties: { a: { $ref: '#/x' } } } }),
      tool('too long', undefined, { inputSchema: { type: 'object', description: 'x'.repeat(40_000) } }),
    ];
    const server = await serve([tool('good'), ...wrong]);
    const { names, run, lines } = await runTools({ s: { url: server.url } });
    expect(names()).toEqual(['mcp:s:good']);
    expect(await run('mcp:s:good')).toBe('good');
    expect(lines.filter(({ level }) => level === 'warn').map((line) => line.tools.length)).toEqual([8]);
  });

  it('whose schemas have one $id are told apart', async () => {
    const schema = (key: string) => ({ $id: 'same', type: 'object', required: [key] });
    const server = await serve([
      tool('one', undefined, { inputSchema: schema('a') }),
      tool('two', undefined, { inputSchema: schema('b') }),
    ]);
    const { run } = await runTools({ s: { url: server.url } });
    expect(await run('mcp:s:one', { a: 1 })).toBe('one');
    expect(await run('mcp:s:two', { b: 1 })).toBe('two');
  });

  it('are chosen by the config, and may need a person', async () => {
    const server = await serve([tool('read_file'), tool('read_dir'), tool('write_file'), tool('a.b')]);
    const { names, tasks } = await runTools({
      s: { url: server.url, tools: ['read_*', 'a.b'], approval: 'ask' },
      t: { url: server.url, tools: ['*_file', 'aXb'] },
    });
    expect(names()).toEqual([
      'mcp:s:a.b',
      'mcp:s:read_dir',
      'mcp:s:read_file',
      'mcp:t:read_file',
      'mcp:t:write_file',
    ]);
    expect(tasks.get('mcp:s:a.b')?.tool).toEqual({ approval: 'ask' });
  });

  it('have descriptions of a bounded length', async () => {
    const server = await serve([tool('a', undefined, { description: 'x'.repeat(9000) })]);
    const { tasks } = await runTools({ s: { url: server.url } }, { descriptionLimitChars: 100 });
    expect(tasks.get('mcp:s:a')?.description).toHaveLength(100);
  });

  it('give text, notes for what is none, or data where there is no text', async () => {
    const content = [
      { type: 'text', text: 'one' },
      { type: 'image', data: 'AAAA', mimeType: 'image/png' },
      { type: 'resource', resource: { uri: 'file:///a', text: 'two' } },
      { type: 'resource', resource: { uri: 'file:///b', blob: 'AAAA', mimeType: 'a/b' } },
      { type: 'resource_link', uri: 'file:///c', name: 'c' },
    ];
    const server = await serve([
      tool('mixed', () => ({ content })),
      tool('data', () => ({ content: [], structuredContent: { a: 1 } }), {
        outputSchema: { type: 'object', properties: { a: { type: 'string' } } },
      }),
      tool('both', () => ({ content: [{ type: 'text', text: 't' }], structuredContent: { a: 1 } })),
      tool('nothing', () => ({ content: [] })),
    ]);
    const { run } = await runTools({ s: { url: server.url } });
    expect(await run('mcp:s:mixed')).toBe(
      'one\n[image image/png]\ntwo\n[resource file:///b a/b]\n[resource_link file:///c]',
    );
    expect(await run('mcp:s:data')).toEqual({ a: 1 });
    expect(await run('mcp:s:both')).toBe('t');
    expect(await run('mcp:s:nothing')).toBe('');
    const whole = await runTools({ s: { url: server.url } }, { content: 'all' });
    expect(await whole.run('mcp:s:mixed')).toEqual({ content });
    expect(await whole.run('mcp:s:both')).toEqual({
      content: [{ type: 'text', text: 't' }],
      structuredContent: { a: 1 },
    });
  });

  it('give results of a bounded size', async () => {
    const image = { type: 'image', data: 'A'.repeat(3000), mimeType: 'image/png' };
    const server = await serve([
      tool('long', () => 'x'.repeat(5000)),
      tool('data', () => ({ content: [], structuredContent: { a: 'x'.repeat(5000) } })),
      tool('images', () => ({ content: [image, { type: 'text', text: 'y'.repeat(5000) }] })),
    ]);
    const limits = { resultLimitChars: 1000 };
    const { run } = await runTools({ s: { url: server.url } }, limits);
    expect(await run('mcp:s:long')).toBe(`${'x'.repeat(1000)}\n[4000 more characters are left out]`);
    expect(await run('mcp:s:data')).toMatch(/^\{"a":"x+\n\[4008 more characters are left out\]$/);
    const whole = await runTools({ s: { url: server.url } }, { ...limits, content: 'all' });
    expect(JSON.stringify(await whole.run('mcp:s:images')).length).toBeLessThan(1200);
  });

  it('fail a call whose answer is larger than a message may be, and go on', async () => {
    const server = await serve([tool('huge', () => 'x'.repeat(300_000)), tool('small')]);
    const { run } = await runTools({ s: { url: server.url } }, { messageLimitBytes: 100_000 });
    const error = await rejection(run('mcp:s:huge'));
    expect(error.message).toBe(
      'task "mcp:s:huge" failed: the MCP server "s": it sent a message of more than 100000 bytes',
    );
    expect(await run('mcp:s:small')).toBe('small');
    expect(server.calls).toHaveLength(2);
  });

  it('fail a run with the words of the server', async () => {
    const server = await serve([
      tool('fails', () => ({ isError: true, content: [{ type: 'text', text: 'no such file' }] })),
      tool('throws', () => {
        throw new Error('out of paper');
      }),
    ]);
    const { run } = await runTools({ s: { url: server.url } });
    const failed = await rejection(run('mcp:s:fails'));
    expect(WaggleError.is(failed, 'TASK_FAILED') && failed.details).toEqual({
      task: 'mcp:s:fails',
      why: 'no such file',
    });
    expect((await rejection(run('mcp:s:throws'))).message).toMatch(/out of paper/);
  });

  it('report progress', async () => {
    const server = await serve([
      tool('slow', async (_, { mcpReq }) => {
        const progressToken = mcpReq._meta?.progressToken as string;
        const params = { progressToken, progress: 1, total: 2, message: 'half' };
        await mcpReq.notify({ method: 'notifications/progress', params });
        return 'done';
      }),
    ]);
    const { engine } = await runTools({ s: { url: server.url } });
    const run = await engine.submit('mcp:s:slow', {});
    expect(await run.result).toBe('done');
    expect(run.progress).toEqual({ progress: 1, total: 2, message: 'half' });
  });

  it('hear of a cancel', async () => {
    const server = await serve([tool('waits', () => new Promise(() => {}))]);
    const { engine } = await runTools({ s: { url: server.url } });
    const run = await engine.submit('mcp:s:waits', {});
    const call = await server.until(() => server.calls[0], 'the call');
    const cancelled = run.cancel();
    await server.until(() => call.signal.aborted || undefined, 'the abort');
    expect(await cancelled).toBe(true);
    expect(run.state).toBe('cancelled');
  });
});
