import { describe, expect, expectTypeOf, it } from 'vitest';
import * as waggle from 'waggle-server';
import endpointDocs from '../../plugins/endpoint-docs/index.js';
import { startHive } from '../support/hive.js';
import { startServer } from '../support/server.js';

// Modules of third parties were written for the last release; these names go with the next one.
describe('a plugin of the last release', () => {
  it('finds every name that it imported', () => {
    expect(waggle.capability()).toMatch(/^[\w-]{24}$/);
    expect(waggle.Retention).toBe(waggle.ExpiringSet);
    expect(waggle.blaming).toBe(waggle.withPluginName);
    expect(waggle.check).toBeTypeOf('function');
    expectTypeOf<waggle.HttpReply>().toEqualTypeOf<waggle.HttpResponse>();
    expectTypeOf<waggle.AnswerDocs>().toEqualTypeOf<waggle.ResponseDocs>();
    expectTypeOf<waggle.StreamFigures>().toEqualTypeOf<waggle.StreamStats>();
    expectTypeOf<waggle.TaskFigures>().toEqualTypeOf<waggle.TaskStats>();
  });

  it('words mistakes, and reads them, under their former name', async () => {
    const error = new waggle.WaggleError('INVALID_REQUEST', { mistakes: ['a: no'] });
    expect(error.message).toBe('invalid request: a: no');
    expect(error.details.issues).toEqual(['a: no']);
    const { mistakes } = await waggle.check(waggle.milliseconds, 'x');
    expect(mistakes).toEqual(['expected integer 1-2147483647, got string "x"']);
  });

  it('starts a kernel to look at it, and wraps what it registers', async () => {
    const kernel = new waggle.Kernel({ logger: waggle.createLogger('silent') });
    const { plugins } = await kernel.rehearse();
    expect(plugins).toEqual([]);
    const old = waggle.definePlugin({
      name: 'old',
      apiVersion: 1,
      requires: { transport: waggle.Transport, streams: waggle.ChatStreams, tasks: waggle.TaskEngine },
      setup(ctx, { transport, streams, tasks }) {
        const docs = { summary: 'old', answers: { 200: { description: 'yes', content: {} } } };
        ctx.effect('GET /old', () =>
          transport.route({
            method: 'GET',
            path: '/old',
            docs: docs as never,
            handler: (_request, reply) =>
              reply.json(200, { replies: streams.figures?.running, runs: tasks.figures?.running }),
          }),
        );
      },
    });
    const hive = await startHive({ plugins: [endpointDocs, old as never] });
    expect(await (await fetch(`${hive.url}/old`)).json()).toEqual({ replies: 0, runs: 0 });
    const { paths } = (await (await fetch(`${hive.url}/openapi.json`)).json()) as {
      paths: Record<string, { get: { responses: object } }>;
    };
    expect(paths['/old']?.get.responses).toMatchObject({ 200: { description: 'yes' } });
    await hive.kernel.unload('old');
    expect((await fetch(`${hive.url}/old`)).status).toBe(404);
    await hive.close();
  });
});

describe('a config of the last release', () => {
  it('starts the plugin that it names, and says its new name in one line', async () => {
    const plugins = { 'endpoint-openai': { config: { reasoningField: 'reasoning' } } };
    const server = await startServer({ config: { plugins } });
    const lines = server.logs.filter(({ former }) => former !== undefined);
    expect(lines).toMatchObject([{ level: 'warn', former: 'endpoint-openai', name: 'endpoint-completions' }]);
    const body = JSON.stringify({ model: 'eliza', messages: [{ role: 'user', content: 'Hallo' }] });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', body, headers });
    expect(answer.status).toBe(200);
    expect(await server.stop()).toBe(0);
  });
});
