import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Agent, createToken, definePlugin, type Plugin } from '#kernel';
import endpointMetrics from '../../plugins/endpoint-metrics/index.js';
import uiWeb from '../../plugins/ui-web/index.js';
import { done, ScriptedAgent, text } from '../support/agents.js';
import { type Hive, startHive } from '../support/hive.js';
import { deferred, rejection } from '../support/kernel.js';
import { leakCheck } from '../support/leaks.js';
import { call } from '../support/transport.js';
import { textOf, WsClient } from '../support/ws-client.js';

const Model = createToken<string>('leaves.model');

function pluginOf(agent: Agent, overrides: Partial<Plugin> = {}): Plugin {
  return definePlugin({
    name: `agent-${agent.name}`,
    apiVersion: 1,
    setup: (ctx) => void ctx.addAgent(agent),
    ...overrides,
  });
}

/** Says one word, and goes on only when it is released, whatever its signal says. */
class DeafAgent extends ScriptedAgent {
  override generateResponseStream(request: Parameters<Agent['generateResponseStream']>[0]) {
    const { signal } = new AbortController();
    return super.generateResponseStream(request, { signal } as never);
  }
}

/** Takes an abort for the end of its work. */
class EarlyAgent extends ScriptedAgent {
  override async *generateResponseStream(...[, { signal }]: Parameters<Agent['generateResponseStream']>) {
    yield text('one ');
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    if (!signal.reason) yield done;
  }
}

/** Words an abort in its own way. */
class AngryAgent extends EarlyAgent {
  override async *generateResponseStream(...given: Parameters<Agent['generateResponseStream']>) {
    yield* super.generateResponseStream(...given);
    throw new Error('how dare you');
  }
}

describe.each(['uws', 'node'] as const)('an agent that leaves, over transport-%s', (transport) => {
  let leaks: ReturnType<typeof leakCheck>;
  let hive: Hive;
  let client: WsClient;
  let unregisterGraceMs: number | undefined;
  beforeEach(() => {
    leaks = leakCheck();
    unregisterGraceMs = undefined;
  });
  afterEach(async () => {
    await client.close();
    await hive.close();
    await leaks.settled();
  });

  async function start(plugins: readonly Plugin[], config: Readonly<Record<string, object>> = {}) {
    const queen = {
      candidates: ['bee', 'wasp'],
      ...(unregisterGraceMs !== undefined && { unregisterGraceMs }),
    };
    hive = await startHive({ transport, plugins, config: { 'agent-queen': queen, ...config } });
    client = await WsClient.connect(`${hive.ws}/leaves`);
  }
  const ask = (requestId: string, agent?: string) =>
    client.send({ type: 'stream_request', content: 'x', requestId, ...(agent && { agent }) });
  const spoken = (content: string) => client.until((frame) => frame.content === content);
  const wordsOf = (streamId: string | undefined) =>
    textOf(client.frames.filter((frame) => frame.streamId === streamId));

  it.each([
    ['unload', (bee: ScriptedAgent) => hive.kernel.unload(`agent-${bee.name}`)],
    [
      'unload, twice at once',
      async (bee: ScriptedAgent) => {
        const first = hive.kernel.unload(`agent-${bee.name}`);
        expect(await rejection(hive.kernel.unload(`agent-${bee.name}`))).toMatchObject({
          code: 'KERNEL_PLUGIN_UNKNOWN',
        });
        await first;
      },
    ],
    [
      'unload, and then load',
      async (bee: ScriptedAgent) => {
        const gone = hive.kernel.unload(`agent-${bee.name}`);
        await hive.kernel.load(pluginOf(new ScriptedAgent('bee', [text('new'), done])));
        await gone;
      },
    ],
  ])('ends its answer first, and gets no new request: %s', async (_, leave) => {
    const bee = new ScriptedAgent('bee', [text('one '), 'wait', text('two'), done]);
    await start([pluginOf(bee)]);
    ask('old', 'bee');
    const { streamId } = await spoken('one ');
    const order: string[] = [];
    hive.kernel.bus.on('chat:finished', () => void order.push('finished'));
    const left = leave(bee).then(() => void order.push('left'));
    // The kernel takes its turn, then the registry lets go of it.
    await expect.poll(() => hive.kernel.inspect().plugins.at(-1)?.state).toBe('stopping');
    ask('late', 'bee');
    expect(await client.end('late')).toMatchObject({ type: 'error', code: 'AGENT_UNKNOWN' });
    expect(bee.running).toBe(1);
    bee.release();
    await client.until((frame) => frame.streamId === streamId && frame.type === 'streaming_end');
    await left;
    expect(order).toEqual(['finished', 'left']);
    expect(wordsOf(streamId)).toBe('one two');
  });

  it.each([
    ['when it stops', new ScriptedAgent('bee', [text('one '), 'wait', text('two'), done])],
    ['when it does not stop', new DeafAgent('bee', [text('one '), 'wait', text('two'), done])],
    ['when it ends as if nothing was', new EarlyAgent('bee')],
    ['when it throws something else', new AngryAgent('bee')],
  ])('has a bound for that, and its client hears why: %s', async (_, bee) => {
    unregisterGraceMs = 1;
    await start([pluginOf(bee), pluginOf(new ScriptedAgent('wasp'))]);
    ask('old');
    const { streamId } = await spoken('one ');
    await hive.kernel.unload('agent-bee');
    const failed = (frame: { readonly streamId?: string; readonly type: string }) =>
      frame.streamId === streamId && frame.type === 'error';
    expect(await client.until(failed)).toMatchObject({
      code: 'AGENT_DISCONNECTED',
      message: 'agent "bee" ended before its answer was complete: it was unloaded',
    });
    bee.release();
    ask('next');
    await client.until(({ type }) => type === 'streaming_end');
    expect(wordsOf(streamId)).toBe('one ');
    expect(bee.running).toBe(0);
  });

  it.each([
    ['that stops', new ScriptedAgent('bee', ['wait', text('late'), done])],
    ['that does not stop', new DeafAgent('bee', ['wait', text('late'), done])],
  ])('before its first token has others answer in its place: one %s', async (_, bee) => {
    unregisterGraceMs = 1;
    await start([pluginOf(bee), pluginOf(new ScriptedAgent('wasp'))]);
    ask('old');
    await expect.poll(() => bee.running).toBe(1);
    await hive.kernel.unload('agent-bee');
    expect(await client.end('old')).toMatchObject({ agent: 'wasp', content: 'Hello there' });
    bee.release();
    await expect.poll(() => bee.running).toBe(0);
    expect(JSON.stringify(client.frames)).not.toContain('late');
  });

  it('says so to whoever asked for it by name and still waits for its turn', async () => {
    const bee = new ScriptedAgent('bee', [text('one '), 'wait', done]);
    await start([pluginOf(bee)], { 'streams-memory': { maxRunning: 1 } });
    ask('runs', 'bee');
    await spoken('one ');
    ask('waits', 'bee');
    await client.until(({ type }) => type === 'queue_update');
    const left = hive.kernel.unload('agent-bee');
    bee.release();
    expect(await client.end('waits')).toMatchObject({ type: 'error', code: 'AGENT_UNKNOWN' });
    await left;
    expect(bee.requests).toHaveLength(1);
  });

  it('ends its answer before the plugin goes that it stands on', async () => {
    const order: string[] = [];
    const provider = definePlugin({
      name: 'model',
      apiVersion: 1,
      provides: [Model],
      setup(ctx) {
        ctx.effect('model', () => () => void order.push('model closed'));
        ctx.provide(Model, 'tiny');
      },
    });
    const bee = new ScriptedAgent('bee', [text('one '), 'wait', text('two'), done]);
    await start([provider, pluginOf(bee, { requires: { model: Model } })]);
    ask('old', 'bee');
    const { streamId } = await spoken('one ');
    hive.kernel.bus.on('agent:answered', () => void order.push('answered'));
    const reloaded = hive.kernel.reload(provider);
    await expect.poll(() => hive.kernel.inspect().plugins.at(-1)?.state).toBe('stopping');
    bee.release();
    await reloaded;
    await client.until(({ type }) => type === 'streaming_end');
    expect([order, wordsOf(streamId)]).toEqual([['answered', 'model closed'], 'one two']);
    expect(hive.kernel.state).toBe('ready');
  });

  it('goes on answering where a newer version takes its place, however long that takes', async () => {
    unregisterGraceMs = 1;
    const bee = new ScriptedAgent('bee', [text('one '), 'wait', text('two'), done]);
    await start([pluginOf(bee)]);
    ask('old', 'bee');
    const { streamId } = await spoken('one ');
    await hive.kernel.reload(pluginOf(new ScriptedAgent('bee', [text('new'), done])));
    ask('late', 'bee');
    await spoken('new');
    expect(bee.running).toBe(1);
    bee.release();
    await client.until((frame) => frame.streamId === streamId && frame.type === 'streaming_end');
    expect(wordsOf(streamId)).toBe('one two');
  });

  it('stays as it is where a newer version adds it twice', async () => {
    const bee = new ScriptedAgent('bee', [text('one '), 'wait', text('two'), done]);
    await start([pluginOf(bee)]);
    ask('old', 'bee');
    const { streamId } = await spoken('one ');
    const twice = pluginOf(bee, {
      setup(ctx) {
        ctx.addAgent(new ScriptedAgent('bee', [text('new'), done]));
        ctx.addAgent(new ScriptedAgent('bee', [text('newer'), done]));
      },
    });
    const { cause } = await rejection(hive.kernel.reload(twice));
    expect(cause).toMatchObject({ code: 'KERNEL_REGISTRY_CONFLICT' });
    bee.release();
    await client.until((frame) => frame.streamId === streamId && frame.type === 'streaming_end');
    bee.script = [text('the old one'), done];
    ask('next', 'bee');
    await spoken('the old one');
    expect(wordsOf(streamId)).toBe('one two');
  });

  it.each([
    ['POST /chat', '/chat'],
    ['POST /chat/stream', '/chat/stream'],
    ['POST /v1/chat/completions', '/v1/chat/completions'],
  ])('ends what runs over HTTP, too: %s', async (_, path) => {
    const bee = new ScriptedAgent('bee', [text('one '), 'wait', text('two'), done]);
    await start([pluginOf(bee)]);
    const openai = { model: 'bee', messages: [{ role: 'user', content: 'x' }] };
    const body = JSON.stringify(
      path.startsWith('/v1') ? openai : { content: 'x', agent: 'bee', user_id: 'u' },
    );
    const port = Number(new URL(hive.url).port);
    const headers = { 'content-type': 'application/json' };
    const answer = call(port, { method: 'POST', path, body, headers });
    await expect.poll(() => bee.running).toBe(1);
    const order: string[] = [];
    hive.kernel.bus.on('chat:finished', () => void order.push('finished'));
    const left = hive.kernel.unload('agent-bee').then(() => void order.push('left'));
    await expect.poll(() => hive.kernel.inspect().plugins.at(-1)?.state).toBe('stopping');
    bee.release();
    const { status, text: got } = await answer;
    await left;
    expect(order).toEqual(['finished', 'left']);
    expect(status).toBe(200);
    expect(got).toMatch(/one .*two/s);
  });

  it('is in no report, state or metric any more', async () => {
    const bee = new ScriptedAgent('bee', [text('buzz'), done]);
    const buzz = { name: 'bee:work', lane: 'main', exposed: true, run: () => 'honey' } as const;
    const plugin = pluginOf(bee, {
      setup(ctx) {
        ctx.addAgent(bee);
        ctx.registerTask(buzz);
      },
    });
    await start([endpointMetrics, uiWeb, plugin]);
    const port = Number(new URL(hive.url).port);
    const look = async () => {
      const inspected = JSON.stringify(hive.kernel.inspect().plugins);
      const { plugins, tasks } = (await call(port, { path: '/ui/state' })).json;
      const { text: metrics } = await call(port, { path: '/metrics' });
      const { text: agents } = await call(port, { path: '/agents' });
      const { text: runs } = await call(port, { path: '/tasks' });
      return { inspected, state: JSON.stringify({ plugins, tasks }), metrics, agents, runs };
    };
    ask('a', 'bee');
    await client.until(({ type }) => type === 'streaming_end');
    await (await hive.tasks.submit('bee:work' as string, null)).result;
    const before = await look();
    expect(before.metrics).toMatch(/waggle_upstream_request_seconds_bucket\{le="1",agent="bee"\} 1/);
    expect(before.metrics).toMatch(/waggle_tasks_ended_total\{task="bee:work",outcome="succeeded"\} 1/);
    expect(before.metrics).toContain('waggle_plugin_state{plugin="agent-bee",state="active"} 1');
    for (const where of ['inspected', 'state'] as const) expect(before[where]).toContain('agent-bee');

    ask('b', 'bee');
    await hive.kernel.unload('agent-bee');
    for (const [where, said] of Object.entries(await look())) expect(said, where).not.toMatch(/\bbee\b/);
    expect(hive.kernel.state).toBe('ready');
    await hive.kernel.load(plugin);
    for (const where of ['inspected', 'state'] as const) expect((await look())[where]).toContain('agent-bee');
  });
});

describe('an unload', () => {
  it('waits for its turn while something is set up', async () => {
    const gate = deferred();
    const bee = new ScriptedAgent('bee');
    const hive = await startHive();
    const slow = pluginOf(bee, {
      async setup(ctx) {
        await gate.promise;
        ctx.addAgent(bee);
      },
    });
    const loaded = hive.kernel.load(slow);
    const gone = hive.kernel.unload('agent-bee');
    gate.resolve();
    await Promise.all([loaded, gone]);
    expect(hive.kernel.inspect().plugins.some(({ id }) => id === 'agent-bee')).toBe(false);
    expect(hive.kernel.state).toBe('ready');
    await hive.close();
  });
});
