import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import type { TaskCall, TaskDefinition } from '#kernel';
import { definePlugin } from '../../../kernel/plugin.js';
import endpointMcp from '../../../plugins/endpoint-mcp/index.js';
import limitsMemory from '../../../plugins/limits-memory/index.js';
import { accessPlugin, as, TestUsers } from '../../support/access.js';
import { eventually } from '../../support/eventually.js';
import { type Hive, startHive } from '../../support/hive.js';
import { deferred } from '../../support/kernel.js';
import { mcpClient } from '../../support/mcp-client.js';

const words = z.object({ text: z.string().describe('What to count') });
type Words = z.infer<typeof words>;

/** Calls that wait, as the tests find them. */
const waiting: TaskCall[] = [];
let register: (task: TaskDefinition<never>) => () => void | Promise<void> = () => () => {};

/** Tasks of all kinds. */
const tasks = definePlugin({
  name: 'test-tasks',
  apiVersion: 1,
  setup(ctx) {
    register = (task) => ctx.registerTask(task as TaskDefinition);
    const shared = { lane: 'main', input: words, exposed: true, tool: true } as const;
    ctx.registerTask({
      ...shared,
      name: 'text:count',
      description: 'Counts words',
      run: ({ text }: Words) => text.split(' ').length,
    });
    ctx.registerTask({ ...shared, name: `text:${'x'.repeat(70)}`, run: () => 'too long' });
    ctx.registerTask({ ...shared, name: 'text:hidden', exposed: false, run: () => 'not for clients' });
    ctx.registerTask({ ...shared, name: 'text:no-tool', tool: undefined as never, run: () => 'no tool' });
    ctx.registerTask({
      ...shared,
      name: 'text:asks',
      tool: { approval: 'ask' },
      run: () => 'not without a person',
    });
    ctx.registerTask({
      ...shared,
      name: 'text:described',
      tool: { description: 'For the model' },
      run: ({ text }: Words) => ({ text }),
    });
    ctx.registerTask({
      ...shared,
      name: 'text:fails',
      run: () => {
        throw new Error('a secret of the server');
      },
    });
    ctx.registerTask({ ...shared, name: 'text:long', run: () => 'x'.repeat(5000) });
    ctx.registerTask({
      ...shared,
      name: 'text:user',
      run: (_: Words, { userId }: TaskCall) => `for ${userId}`,
    });
    ctx.registerTask({
      ...shared,
      name: 'text:waits',
      run: (_: Words, call: TaskCall) => {
        waiting.push(call);
        return new Promise((_resolve, reject) =>
          call.signal.addEventListener('abort', () => reject(new Error('stopped'))),
        );
      },
    });
    ctx.registerTask({
      ...shared,
      name: 'text:reports',
      run: async ({ text }: Words, call: TaskCall) => {
        const go = deferred();
        reports.push(go.resolve);
        call.progress(text === 'percent' ? { percent: 50 } : { progress: 1, total: 3, message: 'one' });
        await go.promise;
        return 'reported';
      },
    });
  },
});
const reports: (() => void)[] = [];

const offered = [
  'ask_eliza',
  'text_count',
  'text_described',
  'text_fails',
  'text_long',
  'text_reports',
  'text_user',
  'text_waits',
];

describe.each([
  ['uws', 'modern'],
  ['uws', 'legacy'],
  ['node', 'modern'],
  ['node', 'legacy'],
] as const)('over transport-%s a client of the %s era', (transport, era) => {
  let hive: Hive;
  const connect = (more: object = {}) => mcpClient(hive.url, { era, ...more });

  beforeAll(async () => {
    hive = await startHive({
      transport,
      plugins: [tasks, endpointMcp],
      config: { 'endpoint-mcp': { agents: ['eliza', 'nobody'], resultLimitChars: 1000 } },
    });
  });
  afterAll(() => hive.close());

  it('lists the tasks that are exposed tools, and the agents of the config', async () => {
    const { client } = await connect();
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(offered));
    expect(tools).toHaveLength(offered.length);
    expect(tools.find(({ name }) => name === 'text_count')).toMatchObject({
      description: 'Counts words',
      inputSchema: {
        type: 'object',
        properties: { text: { type: 'string', description: 'What to count' } },
        required: ['text'],
      },
    });
    expect(tools.find(({ name }) => name === 'text_described')?.description).toBe('For the model');
  });

  it('runs a task, and asks an agent', async () => {
    const { call } = await connect();
    expect(await call('text_count', { text: 'to be or not' })).toBe('4');
    expect(await call('text_described', { text: 'a' })).toBe('{"text":"a"}');
    expect(await call('ask_eliza', { question: 'Good morning' })).toMatch(/\w+/);
  });

  it('reads why a call fails, and nothing that is only for the server', async () => {
    const { call } = await connect();
    expect(await call('text_count', { text: 4 })).toMatch(/^error: invalid request: input\.text: /);
    expect(await call('ask_eliza', { question: '' })).toBe(
      'error: invalid request: question: expected a text',
    );
    const failed = await call('text_fails', { text: '' });
    expect(failed).toMatch(/^error: task "text:fails" failed/);
    for (const name of ['text_hidden', 'text_no-tool', 'text_asks', 'text:count', 'nothing'])
      await expect(call(name, { text: '' })).rejects.toThrow(`there is no tool "${name}"`);
  });

  it('gets a result of a bounded size', async () => {
    const { call } = await connect();
    expect(await call('text_long', { text: '' })).toBe(
      `${'x'.repeat(1000)}\n[4000 more characters are left out]`,
    );
  });

  it.each([
    ['percent', { progress: 50, total: 100 }],
    ['words', { progress: 1, total: 3, message: 'one' }],
  ])('gets progress that it asks for: %s', async (text, expected) => {
    const { call } = await connect();
    const seen: unknown[] = [];
    const onprogress = (progress: unknown) => {
      seen.push(progress);
      reports.pop()?.();
    };
    expect(await call('text_reports', { text }, { onprogress })).toBe('reported');
    expect(seen).toEqual([expected]);
  });

  it('gets progress of an answer', async () => {
    const { call } = await connect();
    const seen: { progress: number }[] = [];
    const options = { onprogress: (progress: { progress: number }) => seen.push(progress) };
    const answer = await call('ask_eliza', { question: 'Hello' }, options);
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.at(-1)?.progress).toBeLessThanOrEqual(answer.length);
  });

  it('cancels a run', async () => {
    const { call } = await connect();
    const before = waiting.length;
    const abort = new AbortController();
    const result = call('text_waits', { text: '' }, { signal: abort.signal });
    const failed = result.catch((error: Error) => error);
    await eventually(() => expect(waiting).toHaveLength(before + 1));
    abort.abort();
    await eventually(() => expect(waiting.at(-1)?.signal.aborted).toBe(true));
    expect(await failed).toBeInstanceOf(Error);
    await hive.settled();
  });

  it('that leaves, and ends its session, ends its runs', async () => {
    const { call, close } = await connect();
    const before = waiting.length;
    const failed = call('text_waits', { text: '' }).catch((error: Error) => error);
    await eventually(() => expect(waiting).toHaveLength(before + 1));
    await close();
    expect(await failed).toBeInstanceOf(Error);
    await eventually(() => expect(waiting.at(-1)?.signal.aborted).toBe(true));
    await hive.settled();
  });

  it('hears of a new task', async () => {
    const changes = deferred();
    const { names } = await connect({ listChanged: changes.resolve });
    expect(await names()).not.toContain('text_new');
    // The stream for news may open after the first request.
    const undos: (() => void | Promise<void>)[] = [];
    onTestFinished(async () => {
      for (const undo of undos) await undo();
    });
    let round = 0;
    const add = () => {
      undos.push(
        register({
          name: `text:new${round++ || ''}`,
          lane: 'main',
          input: words as never,
          exposed: true,
          tool: true,
          run: () => 'new',
        }),
      );
    };
    const timer = setInterval(add, 50);
    onTestFinished(() => clearInterval(timer));
    add();
    await changes.promise;
    clearInterval(timer);
    expect(await names()).toContain('text_new');
  });
});

describe.each(['modern', 'legacy'] as const)(
  'where credentials are asked for, a client of the %s era',
  (era) => {
    const start = async (config: object = {}) => {
      const users = new TestUsers();
      users.add('token-of-poor', { id: 'poor', limits: { requestsPerMinute: 5 } });
      users.add('token-of-slow', { id: 'slow', limits: { tokensPerDay: 1 } });
      const hive = await startHive({
        plugins: [accessPlugin(users), limitsMemory, tasks, endpointMcp],
        config: { 'endpoint-mcp': { agents: ['eliza'], ...config } },
      });
      onTestFinished(() => hive.close());
      return { hive, connect: (user: string) => mcpClient(hive.url, { era, headers: as(user) }) };
    };

    it('needs them', async () => {
      const { hive } = await start();
      await expect(mcpClient(hive.url, { era })).rejects.toThrow(/401|credentials needed/);
      const answer = await fetch(`${hive.url}/mcp`, { method: 'POST', body: '{}' });
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="waggle"']);
      expect(await answer.json()).toMatchObject({
        jsonrpc: '2.0',
        id: null,
        error: { code: -32000, data: { code: 'UNAUTHORIZED' } },
      });
    });

    it('owns what it runs', async () => {
      const { hive, connect } = await start();
      const { call } = await connect('ann');
      expect(await call('text_user', { text: '' })).toBe('for ann');
      const starts: string[] = [];
      const { start: begin } = hive.streams;
      hive.streams.start = (command) => {
        starts.push(`${command.userId} ${command.principal?.id} ${command.stateless}`);
        return begin.call(hive.streams, command);
      };
      await call('ask_eliza', { question: 'Hello' });
      expect(starts).toEqual(['ann ann true']);
    });

    it('has the limits of its user', async () => {
      const { connect } = await start();
      const slow = await connect('slow');
      expect(await slow.call('ask_eliza', { question: 'Hello' })).toMatch(/^error: this may take \d+ tokens/);
      const poor = await connect('poor');
      const calls = Array.from({ length: 6 }, () => poor.call('text_count', { text: '' }));
      await expect(Promise.all(calls)).rejects.toThrow(/5 requests a minute/);
    });
  },
);
