import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { z } from 'zod';
import { definePlugin, type Plugin } from '#kernel';
import { connect } from '../../plugins/endpoint-ws/client/index.js';
import { type Hive, startHive } from '../support/hive.js';
import { deferred } from '../support/kernel.js';
import { type LeakCheck, leakCheck } from '../support/leaks.js';
import { call } from '../support/transport.js';
import { WsClient } from '../support/ws-client.js';

const fixture = (name: string): URL => new URL(`../fixtures/tasks/${name}.mjs`, import.meta.url);

const tasks: Plugin = definePlugin({
  name: 'tasks',
  apiVersion: 1,
  setup(ctx) {
    const worker = { lane: 'worker', exposed: true } as const;
    ctx.registerTask({
      ...worker,
      name: 'text:parts',
      description: 'Counts aloud',
      module: fixture('parts'),
      input: z.object({ count: z.int() }),
      output: z.number(),
    });
    ctx.registerTask({ ...worker, name: 'loop', module: fixture('loop') });
    ctx.registerTask({ ...worker, name: 'wait', module: fixture('until-stopped') });
    ctx.registerTask({ ...worker, name: 'kills', module: fixture('kills') });
    ctx.registerTask({ name: 'inner', lane: 'main', run: () => 'secret' });
    ctx.registerTask({ name: 'odd', lane: 'main', exposed: true, run: () => 10n });
    ctx.registerTask({
      name: 'weather',
      lane: 'main',
      message: true,
      input: z.strictObject({ city: z.string() }),
      run: ({ city }, message) => {
        message.partial({ type: 'weather_looking', city });
        return { city, celsius: 12 };
      },
    });
    ctx.registerTask({ name: 'number', lane: 'main', message: true, run: () => 7 });
  },
});

describe.each(['uws', 'node'] as const)('over transport-%s', (transport) => {
  let leaks: LeakCheck;
  let hive: Hive;
  let client: WsClient;
  let port: number;
  beforeAll(async () => {
    leaks = leakCheck();
    hive = await startHive({
      transport,
      plugins: [tasks],
      config: { 'tasks-tinypool': { workers: 1, cancelGraceMs: 50, maxPriority: 'high' } },
    });
    port = Number(new URL(hive.url).port);
    client = await WsClient.connect(`${hive.ws}/me`);
  });
  afterAll(async () => {
    await client.close();
    await hive.close();
    await leaks.settled();
  });

  const post = (path: string, body: object) =>
    call(port, { method: 'POST', path, body: JSON.stringify(body) });

  describe('a task over a WebSocket', () => {
    it('is accepted, tells how far it is, and gives its result', async () => {
      const from = client.frames.length;
      client.send({ type: 'task', task: 'text:parts', input: { count: 3 }, requestId: 'p' });
      const { taskId } = await client.until(
        (frame) => frame.type === 'task_result' && frame.requestId === 'p',
      );
      const frames = client.frames.slice(from).filter((frame) => frame.type !== 'queue_update');
      expect(frames[0]).toEqual({ type: 'task_accepted', taskId, requestId: 'p' });
      expect(frames.at(-1)).toEqual({ type: 'task_result', taskId, requestId: 'p', output: 3 });
      const told = frames.slice(1, -1);
      expect(told.every((frame) => frame.type === 'task_progress' && frame.taskId === taskId)).toBe(true);
      expect(told.filter((frame) => frame.partial).map((frame) => frame.progress)).toEqual([0, 1, 2]);
      expect(told.findLast((frame) => !frame.partial)?.progress).toEqual({ percent: 100 });
    });

    it('is the same run for the same requestId, also from a later connection', async () => {
      client.send({ type: 'task', task: 'wait', requestId: 'again' });
      const { taskId } = await client.until((frame) => frame.requestId === 'again');
      await client.until((frame) => frame.type === 'task_progress' && frame.taskId === taskId);
      const second = await WsClient.connect(`${hive.ws}/me2`);
      second.send({ type: 'task', task: 'wait', requestId: 'again' });
      const other = await second.until((frame) => frame.type === 'task_accepted');
      expect(other.taskId).not.toBe(taskId);
      second.send({ type: 'cancel_task', taskId: other.taskId });
      await second.until((frame) => frame.code === 'TASK_CANCELLED');
      await second.close();
      const before = hive.tasks.stats.submitted;
      client.send({ type: 'task', task: 'wait', requestId: 'again' });
      client.send({ type: 'cancel_task', taskId });
      await client.until((frame) => frame.code === 'TASK_CANCELLED' && frame.taskId === taskId);
      expect(hive.tasks.stats.submitted).toBe(before);
    });

    it('is cancelled by whoever knows its id, and by nobody else', async () => {
      client.send({ type: 'task', task: 'loop', requestId: 'l' });
      const { taskId } = await client.until(
        (frame) => frame.type === 'task_accepted' && frame.requestId === 'l',
      );
      const other = await WsClient.connect(`${hive.ws}/other`);
      other.send({ type: 'cancel_task', taskId: 'guess' });
      expect(await other.until((frame) => frame.code === 'TASK_UNKNOWN')).not.toHaveProperty('taskId');
      other.send({ type: 'cancel_task', taskId });
      expect(await other.until((frame) => frame.code === 'TASK_CANCELLED')).toMatchObject({ taskId });
      expect(await client.until((frame) => frame.taskId === taskId && frame.type === 'error')).toMatchObject({
        code: 'TASK_CANCELLED',
        requestId: 'l',
      });
      await other.close();
    });

    it.each([
      ['an unknown one', { task: 'nobody' }, 'TASK_UNKNOWN', 'no task "nobody"'],
      ['one that is not exposed', { task: 'inner' }, 'TASK_UNKNOWN', 'no task "inner"'],
      [
        'a wrong input',
        { task: 'text:parts', input: { count: 'x' } },
        'INVALID_REQUEST',
        'input.count: expected integer, got string "x"',
      ],
      ['a wrong frame', { task: 5 }, 'INVALID_FRAME', 'task: expected string'],
    ])('is refused: %s', async (why, frame, code, message) => {
      client.send({ type: 'task', requestId: why, ...frame });
      const error = await client.end(why);
      expect(error).toMatchObject({ type: 'error', code, message: expect.stringContaining(message) });
      expect(error).not.toHaveProperty('taskId');
    });

    it('that takes its thread down, or gives what JSON cannot say, is one error with its ids', async () => {
      client.send({ type: 'task', task: 'kills', input: { how: 'exit' }, requestId: 'k' });
      expect(await client.until((frame) => frame.type === 'error' && frame.requestId === 'k')).toMatchObject({
        code: 'TASK_CRASHED',
        taskId: expect.any(String),
      });
      client.send({ type: 'task', task: 'odd', requestId: 'o' });
      expect(await client.until((frame) => frame.type === 'error' && frame.requestId === 'o')).toMatchObject({
        code: 'INTERNAL',
        taskId: expect.any(String),
      });
    });

    it('goes on when its connection is lost, and is found by its id', async () => {
      const leaving = await WsClient.connect(`${hive.ws}/leaving`);
      leaving.send({ type: 'task', task: 'wait' });
      const { taskId } = await leaving.until((frame) => frame.type === 'task_progress');
      await leaving.close();
      expect((await call(port, { path: `/tasks/${taskId}` })).json).toMatchObject({
        state: 'running',
        progress: 'running',
      });
      expect((await call(port, { method: 'DELETE', path: `/tasks/${taskId}` })).json).toEqual({
        cancelled: true,
        state: 'cancelled',
      });
    });

    it('works with the typed client: result, progress and cancel', async () => {
      const typed = await connect(`${hive.ws}/typed`, { WebSocket });
      const heard: unknown[] = [];
      expect(await typed.task('text:parts', { count: 2 }, { onProgress: (value) => heard.push(value) })).toBe(
        2,
      );
      expect(heard).toContain(1);
      const abort = new AbortController();
      const running = typed.task('wait', null, { signal: abort.signal, onProgress: () => abort.abort() });
      await expect(running).rejects.toThrow();
      await typed.close();
    });
  });

  describe('a message type', () => {
    it('goes to its task, which answers in its own words', async () => {
      const from = client.frames.length;
      client.send({ type: 'weather', city: 'Bonn', requestId: 'w' });
      await client.until((frame) => frame.type === 'weather');
      expect(client.frames.slice(from)).toEqual([
        { type: 'weather_looking', city: 'Bonn', requestId: 'w' },
        { type: 'weather', city: 'Bonn', celsius: 12, requestId: 'w' },
      ]);
      client.send({ type: 'number' });
      expect(await client.until((frame) => frame.type === 'number')).toEqual({ type: 'number', output: 7 });
    });

    it('checks the frame against its schema', async () => {
      client.send({ type: 'weather', town: 'Bonn', requestId: 'bad' });
      expect(await client.end('bad')).toMatchObject({
        code: 'INVALID_REQUEST',
        message: expect.stringContaining('city'),
      });
    });

    it('is listed where a type is not known, and no task is one that does not say so', async () => {
      client.send({ type: 'inner' });
      const { message } = await client.until((frame) => frame.code === 'UNKNOWN_TYPE');
      expect(message).toContain('weather, number');
    });

    it('cannot be one of the server’s own', async () => {
      const rogue = definePlugin({
        name: 'rogue',
        apiVersion: 1,
        setup: (ctx) =>
          void ctx.registerTask({ name: 'streaming_end', lane: 'main', message: true, run: () => 1 }),
      });
      await expect(startHive({ transport, plugins: [rogue] })).rejects.toMatchObject({
        cause: { code: 'KERNEL_TASK_INVALID', message: expect.stringContaining("the server's own") },
      });
    });
  });

  describe('a task over HTTP', () => {
    it('is accepted with 202, and looked at until it has ended', async () => {
      const { status, json, headers } = await post('/tasks/text:parts', {
        input: { count: 2 },
        priority: 'low',
      });
      expect(status).toBe(202);
      expect(json).toMatchObject({ task: 'text:parts', priority: 'low', taskId: expect.any(String) });
      expect(headers.location).toBe(`/tasks/${json.taskId}`);
      await (await hive.tasks.find(json.taskId))?.result;
      expect((await call(port, { path: headers.location as string })).json).toMatchObject({
        state: 'succeeded',
        output: 2,
        progress: { percent: 100 },
        attempts: 1,
      });
      const ended = await call(port, { method: 'DELETE', path: headers.location as string });
      expect(ended.json).toEqual({ cancelled: false, state: 'succeeded' });
    });

    it('is answered with 200 when it ends within the wait, and with its error when it fails', async () => {
      const well = await post('/tasks/text:parts?wait=10000', { input: { count: 2 } });
      expect([well.status, well.json.output]).toEqual([200, 2]);
      const badly = await post('/tasks/kills?wait=10000', { input: { how: 'exit' } });
      expect([badly.status, badly.json.error.code]).toEqual([500, 'TASK_CRASHED']);
      const late = await post('/tasks/wait?wait=20', {});
      expect([late.status, late.json.state]).toEqual([202, expect.stringMatching(/queued|running/)]);
      await call(port, { method: 'DELETE', path: `/tasks/${late.json.taskId}` });
    });

    it('is the same run for the same request_id of the same user', async () => {
      const body = { input: { count: 1 }, request_id: 'r', user_id: 'ann' };
      const [first, second, third] = await Promise.all([
        post('/tasks/text:parts', body),
        post('/tasks/text:parts', body),
        post('/tasks/text:parts', { ...body, user_id: 'bob' }),
      ]);
      expect(first.json.taskId).toBe(second.json.taskId);
      expect(first.json.taskId).not.toBe(third.json.taskId);
      await Promise.all([first, third].map(async ({ json }) => (await hive.tasks.find(json.taskId))?.result));
    });

    it('asks for no more priority than the config allows', async () => {
      const { json } = await post('/tasks/text:parts?wait=10000', {
        input: { count: 1 },
        priority: 'urgent',
      });
      expect(json.priority).toBe('high');
    });

    it('is listed with its schemas and figures', async () => {
      const { json } = await call(port, { path: '/tasks' });
      const find = (name: string) => json.tasks.find((each: { name: string }) => each.name === name);
      expect(find('text:parts')).toMatchObject({
        description: 'Counts aloud',
        lane: 'worker',
        exposed: true,
        input: { properties: { count: { type: 'integer' } } },
        output: { type: 'number' },
        counts: { failed: 0, waiting: 0, running: 0, submitted: expect.any(Number) },
      });
      expect(find('inner')).toMatchObject({ exposed: false });
      expect(find('chat:message')).toMatchObject({ lane: 'main', exposed: false });
      expect(json.figures).toMatchObject({
        queued: { low: 0, normal: 0, high: 0, urgent: 0 },
        workers: { alive: 1 },
      });
    });

    it('cannot be one that is not exposed', async () => {
      expect((await post('/tasks/inner', {})).json.error.code).toBe('TASK_UNKNOWN');
      expect((await post('/tasks/chat:message', { input: 'x' })).json.error.code).toBe('TASK_UNKNOWN');
    });
  });

  describe('what is announced', () => {
    it('names each frame that was read, and each that was refused', async () => {
      const heard: string[] = [];
      const undo = [
        hive.kernel.bus.on(
          'message:received',
          ({ clientId, type }) => void heard.push(`${clientId} ${type}`),
        ),
        hive.kernel.bus.on('message:refused', ({ clientId, code }) => void heard.push(`${clientId} ${code}`)),
      ];
      const watched = await WsClient.connect(`${hive.ws}/watched`);
      watched.send({ type: 'ping' });
      watched.send({ type: 'weather', city: 'Bonn' });
      watched.send({ type: 'nonsense' });
      await watched.until((frame) => frame.type === 'error');
      await watched.until((frame) => frame.type === 'weather');
      expect(heard).toEqual(['watched ping', 'watched weather', 'watched UNKNOWN_TYPE']);
      await watched.close();
      for (const each of undo) await each();
    });
  });

  describe('a stop', () => {
    it('lets a task end, tells its client, and refuses new ones', async () => {
      const over = deferred<string>();
      const slow = definePlugin({
        name: 'slow',
        apiVersion: 1,
        setup: (ctx) =>
          void ctx.registerTask({ name: 'slow', lane: 'main', exposed: true, run: () => over.promise }),
      });
      const stopping = await startHive({ transport, plugins: [slow] });
      const watcher = await WsClient.connect(`${stopping.ws}/w`);
      watcher.send({ type: 'task', task: 'slow', requestId: 'a' });
      await watcher.until((frame) => frame.type === 'task_accepted');
      const stopped = stopping.stop();
      await watcher.until((frame) => frame.type === 'server_draining');
      watcher.send({ type: 'task', task: 'slow', requestId: 'b' });
      expect(await watcher.end('b')).toMatchObject({
        code: 'SHUTTING_DOWN',
        retryAfterMs: expect.any(Number),
      });
      over.resolve('done');
      expect(await watcher.until((frame) => frame.type === 'task_result')).toMatchObject({ output: 'done' });
      expect(await watcher.closed).toMatchObject({ code: 1001 });
      await stopped;
    });
  });
});
