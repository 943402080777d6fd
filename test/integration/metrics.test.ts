import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, definePlugin } from '#kernel';
import endpointMetrics from '../../plugins/endpoint-metrics/index.js';
import endpointOverview from '../../plugins/endpoint-overview/index.js';
import { ScriptedAgent } from '../support/agents.js';
import { dashboard } from '../support/dashboard.js';
import { type FakeOllama, startFakeOllama } from '../support/fake-ollama/index.js';
import { type Hive, startHive } from '../support/hive.js';
import { leakCheck } from '../support/leaks.js';
import { Scrape } from '../support/prometheus.js';
import { startServer } from '../support/server.js';
import { times } from '../support/thorough.js';
import { WsClient } from '../support/ws-client.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const fixture = (name: string) => new URL(`../fixtures/tasks/${name}.mjs`, import.meta.url);

/** Answers where the model server cannot. */
const spare = definePlugin({
  name: 'agent-spare',
  apiVersion: 1,
  setup: (ctx) => void ctx.addAgent(new ScriptedAgent('spare')),
});

/** A server among others. */
const cluster = definePlugin({
  name: 'cluster-alone',
  apiVersion: 1,
  provides: [Cluster],
  setup(ctx) {
    const stats = { up: true, awayMs: 0, rttMs: 2, nodes: 1, takeovers: 4 };
    const undo = () => {};
    const none = async () => false;
    const rest = { send: none, broadcast: none, on: () => undo, watch: () => undo };
    const alive = () => [{ id: 'a', load: {} }];
    ctx.provide(Cluster, {
      ...{ nodeId: 'a', stats, engineCommands: { publish: 3 }, alive, ...rest },
      ...{ publishLoad: () => undo, claim: () => undo },
      ...{ sequence: async () => 1, reached: 0, follow: () => undo },
    });
  },
});

/** Tasks that end in every way. */
const tasks = definePlugin({
  name: 'tasks',
  apiVersion: 1,
  setup(ctx) {
    const exposed = { exposed: true, lane: 'main' } as const;
    ctx.registerTask({ ...exposed, name: 'well', run: (input) => input });
    ctx.registerTask({
      ...exposed,
      name: 'badly',
      retries: { max: 1, baseMs: 1 },
      run: () => Promise.reject(new Error('no')),
    });
    ctx.registerTask({ ...exposed, name: 'never', run: (_, { signal }) => untilAborted(signal) });
    ctx.registerTask({ name: 'kills', lane: 'worker', exposed: true, module: fixture('kills') });
  },
});

const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

let fake: FakeOllama;

beforeAll(async () => {
  fake = await startFakeOllama();
});

afterAll(() => fake.close());

const start = () =>
  startHive({
    fake,
    plugins: [endpointOverview, cluster, endpointMetrics, tasks, spare],
    config: {
      'agent-queen': { candidates: ['ollama', 'spare'] },
      'streams-memory': { keepMs: 1 },
      'tasks-tinypool': { workers: 1, keepMs: 1 },
      'endpoint-ws': { maxFramesPerSecond: 10_000 },
    },
  });

const post = (hive: Hive, path: string, body: object) =>
  fetch(`${hive.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

/** Everything that may happen, once, for one user. */
async function work(hive: Hive, user: string, closeCode: number): Promise<void> {
  const client = await WsClient.connect(`${hive.ws}/${user}`);
  const model = `normal?k=3&user=${user}`;
  await client.ask({ content: `Hallo ${user}`, model, requestId: `${user}-1`, conversationId: user });
  // The first agent fails before its first token, and the second one answers.
  await client.ask({ content: 'Hallo', model: 'http-400', requestId: `${user}-2` });
  await client.ask({ content: 'Hallo', agent: 'ollama', model: 'http-400', requestId: `${user}-3` });
  await client.ask({ content: 'Hallo', agent: user, requestId: `${user}-4` });
  client.send({ type: 'stream_request', content: 'Hallo', model: 'stall?k=1', requestId: `${user}-5` });
  const { streamId } = await client.until(
    ({ type, requestId }) => type === 'streaming_start' && requestId === `${user}-5`,
  );
  client.send({ type: 'cancel', streamId });
  await client.until(({ type }) => type === 'cancelled');
  await post(hive, '/chat', { content: 'Hallo', user_id: user });
  for (const name of ['well', 'badly', 'unknown', user])
    await post(hive, `/tasks/${name}?wait=5000`, { input: {} });
  await post(hive, '/tasks/kills?wait=15000', { input: { how: 'exit' } });
  client.send({ type: 'task', task: 'never', input: {}, requestId: 'n' });
  const { taskId } = await client.until(({ type }) => type === 'task_accepted');
  client.send({ type: 'cancel_task', taskId });
  await client.until(({ code }) => code === 'TASK_CANCELLED');
  client.socket.close(closeCode);
  await client.closed;
}

/** The figures of now, once all gauges are those of `base`. */
async function settled(hive: Hive, base: Scrape): Promise<Scrape> {
  await hive.settled();
  const deadline = performance.now() + 10_000;
  for (;;) {
    const scrape = await Scrape.of(hive.url);
    if (JSON.stringify(scrape.gauges) === JSON.stringify(base.gauges)) return scrape;
    if (performance.now() > deadline) {
      expect(scrape.gauges).toEqual(base.gauges);
      return scrape;
    }
  }
}

describe('GET /metrics', () => {
  it('is read by a parser of Prometheus, with help and a type for each metric, and names by its conventions', async () => {
    const hive = await start();
    await work(hive, 'ann', 1000);
    const { text, type, families } = await Scrape.of(hive.url);
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(families.map(({ name }) => name)).toEqual(
      [...text.matchAll(/^# TYPE (\w+) \w+$/gm)].map(([, name]) => name),
    );
    expect(families.map(({ name, help }) => `${name} ${help}`)).toEqual(
      [...text.matchAll(/^# HELP (.*)$/gm)].map(([, line]) => line),
    );
    for (const { name, help, type } of families) {
      expect(name).toMatch(/^(waggle|process|nodejs)(_[a-z0-9]+)+$/);
      expect(help, name).toMatch(/^\S.*[^.]$/);
      expect(['COUNTER', 'GAUGE', 'HISTOGRAM'], name).toContain(type);
      expect(/_total$/.test(name), name).toBe(type === 'COUNTER');
      if (type === 'HISTOGRAM') expect(name).toMatch(/_seconds$/);
      expect(name).not.toMatch(/_(ms|milliseconds|mb|kb|percent)(_|$)/);
    }
    await hive.close();
  });

  it('counts what happens, by how it ended', async () => {
    const hive = await start();
    const base = await Scrape.of(hive.url);
    await work(hive, 'ann', 1000);
    const now = await settled(hive, base);
    const value = now.value.bind(now);
    expect(value('waggle_connections_opened_total')).toBe(1);
    expect(value('waggle_connections_closed_total', { code: '1000' })).toBe(1);
    expect(value('waggle_streams_ended_total', { outcome: 'finished' })).toBe(3);
    expect(value('waggle_streams_ended_total', { outcome: 'failed' })).toBe(2);
    expect(value('waggle_streams_ended_total', { outcome: 'cancelled' })).toBe(1);
    expect(value('waggle_stream_errors_total', { code: 'AGENT_FAILED' })).toBe(1);
    expect(value('waggle_stream_errors_total', { code: 'AGENT_UNKNOWN' })).toBe(1);
    expect(value('waggle_stream_cancels_total', { reason: 'client' })).toBe(1);
    expect(value('waggle_stream_duration_seconds_count')).toBe(6);
    expect(value('waggle_stream_first_token_seconds_count')).toBe(4);
    expect(value('waggle_stream_token_interval_seconds_count')).toBe(3);
    expect(value('waggle_stream_tokens_total')).toBe(hive.streams.stats.tokens);
    expect(value('waggle_model_tokens_total', { type: 'output' })).toBeGreaterThan(3);
    const asked = 'waggle_upstream_requests_total';
    expect(value(asked, { agent: 'ollama', outcome: 'answered' })).toBe(2);
    expect(value(asked, { agent: 'ollama', outcome: 'failed' })).toBe(2);
    expect(value(asked, { agent: 'ollama', outcome: 'cancelled' })).toBe(1);
    expect(value(asked, { agent: 'spare', outcome: 'answered' })).toBe(1);
    expect(value('waggle_upstream_errors_total', { agent: 'ollama', code: 'AGENT_FAILED' })).toBe(2);
    expect(value('waggle_upstream_fallbacks_total', { agent: 'spare' })).toBe(1);
    expect(value('waggle_upstream_request_seconds_count')).toBe(6);
    for (const [task, outcome] of [
      ['well', 'succeeded'],
      ['badly', 'failed'],
      ['kills', 'failed'],
      ['never', 'cancelled'],
    ] as const) {
      expect(value('waggle_tasks_ended_total', { task, outcome }), task).toBe(1);
      expect(value('waggle_task_run_seconds_count', { task }), task).toBe(1);
      expect(value('waggle_task_wait_seconds_count', { task }), task).toBe(1);
    }
    expect(value('waggle_task_retries_total', { task: 'badly' })).toBe(1);
    expect(value('waggle_task_errors_total', { task: 'kills', code: 'TASK_CRASHED' })).toBe(1);
    expect(value('waggle_tasks_rejected_total')).toBe(hive.tasks.stats.rejected);
    expect(value('waggle_worker_restarts_total')).toBe(1);
    expect(value('waggle_engine_up')).toBe(1);
    expect(value('waggle_engine_rtt_seconds')).toBe(0.002);
    expect(value('waggle_engine_commands_total', { service: 'cluster', kind: 'publish' })).toBe(3);
    expect(value('waggle_cluster_nodes')).toBe(1);
    expect(value('waggle_client_takeovers_total')).toBe(4);
    expect(value('waggle_plugin_state', { plugin: 'endpoint-metrics', state: 'active' })).toBe(1);
    expect(value('waggle_plugin_state', { state: 'failed' })).toBe(0);
    await hive.close();
  });

  it('shows what goes on while it does, and every gauge returns to its base', async () => {
    const hive = await start();
    const base = await Scrape.of(hive.url);
    const client = await WsClient.connect(`${hive.ws}/ann`);
    client.send({ type: 'stream_request', content: 'Hallo', model: 'stall?k=1' });
    await client.until(({ type }) => type === 'streaming_token');
    const run = await hive.tasks.submit('never', {});
    const later = await hive.tasks.submit('well', {}, { delayMs: 60_000, priority: 'high' });
    const during = await Scrape.of(hive.url);
    for (const [name, value] of [
      ['waggle_connections', 1],
      ['waggle_streams_running', 1],
      ['waggle_stream_readers', 1],
      ['waggle_tasks_running', 2],
      ['waggle_tasks_delayed', 1],
    ] as const)
      expect(during.value(name), name).toBe(value);
    expect(during.value('waggle_tasks_waiting', { priority: 'high' })).toBe(1);
    expect(during.value('process_resident_memory_bytes')).toBeGreaterThan(1e7);
    await Promise.all([run.cancel(), later.cancel()]);
    const { streamId } = client.frames.find(({ type }) => type === 'streaming_start') ?? {};
    client.send({ type: 'cancel', streamId });
    await client.until(({ type }) => type === 'cancelled');
    await client.close();
    for (const user of ['ben', 'cem', 'dea']) await work(hive, user, 1000);
    await Promise.all(['eve', 'fay', 'gil', 'hal'].map((user) => work(hive, user, 1001)));
    await settled(hive, base);
    await hive.close();
  });

  it('has as many series for many users, streams, models and codes as for one', async () => {
    const hive = await start();
    const base = await Scrape.of(hive.url);
    for (const code of [1000, 4242]) await work(hive, `first-${code}`, code);
    const few = (await settled(hive, base)).series;
    for (let index = 0; index < times(20); index++) await work(hive, `user-${index}`, 4000 + 10 * index + 3);
    const many = await settled(hive, base);
    expect(many.series).toEqual(few);
    expect(many.text).not.toMatch(/user-|first-\d|user=|stall/);
    await hive.close();
  });

  it('is named by GET /, is gone when the plugin is, and comes back with its counters at 0', async () => {
    const leaks = leakCheck();
    const hive = await start();
    const { endpoints } = (await (await fetch(hive.url)).json()) as { endpoints: object };
    expect(endpoints).toMatchObject({ metrics: '/metrics' });
    await work(hive, 'ann', 1000);
    for (let round = 0; round < 20; round++) await hive.kernel.reload(endpointMetrics);
    const anew = await Scrape.of(hive.url);
    expect(anew.value('waggle_streams_ended_total')).toBe(0);
    await hive.kernel.unload('endpoint-metrics');
    expect((await fetch(`${hive.url}/metrics`)).status).toBe(404);
    expect(await (await fetch(hive.url)).json()).not.toMatchObject({ endpoints: { metrics: '/metrics' } });
    expect(hive.kernel.inspect().plugins.some(({ id }) => id === 'endpoint-metrics')).toBe(false);
    await hive.close();
    await leaks.settled();
  });

  it('is 404 where the plugin is off', async () => {
    const server = await startServer({ config: { plugins: { 'endpoint-metrics': { enabled: false } } } });
    expect((await fetch(`${server.url}/metrics`)).status).toBe(404);
    await server.stop();
  });

  it('counts WebSockets beyond the limit', async () => {
    const hive = await startHive({
      plugins: [endpointMetrics],
      config: { transport: { maxConnections: 1 } },
    });
    const client = await WsClient.connect(`${hive.ws}/one`);
    const refused = await WsClient.connect(`${hive.ws}/two`);
    expect(await refused.closed).toMatchObject({ code: 1013 });
    const now = await Scrape.of(hive.url);
    expect(now.value('waggle_connections_refused_total')).toBe(1);
    expect(now.value('waggle_connections')).toBe(now.value('waggle_connections_limit'));
    await client.close();
    await hive.close();
  });

  it('tells of one server, also where two run in one process', async () => {
    const [one, other] = [await start(), await start()];
    await work(one, 'ann', 1000);
    expect((await Scrape.of(one.url)).value('waggle_connections_opened_total')).toBe(1);
    expect((await Scrape.of(other.url)).value('waggle_connections_opened_total')).toBe(0);
    await one.close();
    await other.close();
  });

  it('says by how much the event loop was late since the last time, in seconds', async () => {
    const hive = await start();
    let lag = 0;
    while (lag < 0.03) {
      // What Node.js measures begins with its next look at the clock.
      await new Promise((resolve) => setTimeout(resolve, 30));
      const until = performance.now() + 60;
      while (performance.now() < until);
      lag = (await Scrape.of(hive.url)).value('nodejs_eventloop_lag_max_seconds');
    }
    expect(lag).toBeLessThan(20);
    await hive.close();
  });
});

describe('the dashboard for Grafana', () => {
  const { file, queries, metrics } = dashboard();
  /** Metrics that only streams and tasks of several servers have: `test/redis/plugin.test.ts` has these. */
  const ofSeveral = ['remote_readers', 'taken_over_total', 'gaps_total', 'unflushed_chars'];
  const shared = [...ofSeveral.map((name) => `waggle_stream_${name}`), 'waggle_tasks_stalled_total'];

  it('asks for metrics that there are, and shows every one of the server', async () => {
    const hive = await start();
    const { families } = await Scrape.of(hive.url);
    const known = families.map(({ name }) => name);
    expect(metrics.length).toBeGreaterThan(20);
    for (const name of metrics) expect([...known, ...shared]).toContain(name);
    const shown = known.filter((name) => name.startsWith('waggle_') && !metrics.includes(name));
    expect(shown).toEqual(['waggle_state', 'waggle_streams_kept']);
    await hive.close();
  });

  it('asks only for labels that they have', async () => {
    const hive = await start();
    await work(hive, 'ann', 1000);
    const scrape = await Scrape.of(hive.url);
    for (const query of queries)
      for (const [, by, name] of query.matchAll(/by \(([\w,]+)\) \((?:rate\()?(\w+)/g)) {
        const labels = scrape.labelsOf(name as string);
        if (labels.length > 0)
          expect([query, labels]).toEqual([query, expect.arrayContaining((by as string).split(','))]);
      }
    await hive.close();
  });

  it('is part of the package', () => {
    expect(JSON.parse(readFileSync(`${root}package.json`, 'utf8')).files).toContain(file);
  });
});
