import { afterEach, describe, expect, it } from 'vitest';
import type { Plugin } from '#kernel';
import endpointOverview from '../../../plugins/endpoint-overview/index.js';
import uiWeb from '../../../plugins/ui-web/index.js';
import { done, ScriptedAgent, text } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';
import { plugin } from '../../support/kernel.js';
import { type Answer, call } from '../../support/transport.js';
import { WsClient } from '../../support/ws-client.js';

let hive: Hive;
afterEach(() => hive.stop());

type Get = (path: string, headers?: Record<string, string>) => Promise<Answer>;

async function start(
  config: object = {},
  plugins: readonly Plugin[] = [],
  transport: 'uws' | 'node' = 'uws',
): Promise<Get> {
  hive = await startHive({ transport, plugins: [endpointOverview, ...plugins] });
  await hive.kernel.load(uiWeb, { config });
  return (path, headers = {}) => call(Number(new URL(hive.url).port), { path, headers });
}

const references = {
  html: /\b(?:src|href)="([^"]*)"/g,
  css: /\burl\("?([^")]+)"?\)|@import\s+"([^"]+)"/g,
  javascript: /^(?:import|export|\}) [^'"\n]*from ['"]([^'"]+)['"];$|\bimport\('([^']+)'\)/gm,
};

/** The addresses that a file names, resolved against its own. */
function referencesOf(path: string, { text, headers }: Answer): readonly string[] {
  const [, type] = /^text\/(html|css|javascript);/.exec(String(headers['content-type'])) ?? [];
  const found = type ? [...text.matchAll(references[type as keyof typeof references])] : [];
  return found.map(([, one, other]) => new URL((one ?? other) as string, `http://here${path}`).href);
}

describe('the pages', () => {
  it.each(['/ui', '/ui/', '/ui/inspector'])(
    'at %s load only what this server has, and all of it is there',
    async (page) => {
      const get = await start();
      const seen = new Set([page]);
      for (const path of seen) {
        const answer = await get(path);
        expect(answer.status, path).toBe(200);
        for (const reference of referencesOf(path, answer)) {
          const { host, pathname } = new URL(reference);
          expect(host, `${path} names ${reference}`).toBe('here');
          seen.add(pathname);
        }
      }
      const names = [...seen].map((path) => path.split('/').slice(3).join('/'));
      if (page === '/ui/inspector') expect(names).toContain('library/uPlot.esm.js');
      else
        expect(names).toEqual(
          expect.arrayContaining([
            'client/index.js',
            'client/connection.js',
            'library/purify.es.mjs',
            'library/marked.esm.js',
            'library/katex.mjs',
            'library/highlight.min.js',
          ]),
        );
    },
  );

  it('may load and ask nothing else, run nothing that stands in them, and be shown in no frame', async () => {
    const get = await start();
    for (const page of ['/ui', '/ui/inspector']) {
      const { text, headers } = await get(page);
      const rules = String(headers['content-security-policy']).split('; ');
      expect(
        Object.fromEntries(rules.map((rule) => [rule.split(' ')[0], rule.split(' ').slice(1).join(' ')])),
      ).toEqual({
        'default-src': "'none'",
        'script-src': "'self'",
        'style-src': "'self'",
        'img-src': "'self' data:",
        'connect-src': "'self'",
        'base-uri': "'none'",
        'form-action': "'none'",
        'frame-ancestors': "'none'",
        'require-trusted-types-for': "'script'",
        'trusted-types': 'dompurify',
      });
      expect(headers['referrer-policy']).toBe('no-referrer');
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(text).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:/);
    }
  });

  it.each(['uws', 'node'] as const)(
    'are asked for anew each time, and sent only when they have changed: %s',
    async (transport) => {
      const get = await start({}, [], transport);
      const { headers } = await get('/ui');
      const etag = String(headers.etag);
      expect(headers['cache-control']).toBe('no-cache');
      for (const known of [etag, `"another", W/${etag}`, '*']) {
        const again = await get('/ui', { 'if-none-match': known });
        expect([again.status, again.text, again.headers.etag]).toEqual([304, '', etag]);
        expect(again.headers['content-security-policy']).toBe(headers['content-security-policy']);
      }
      for (const unknown of ['"another"', '', etag.slice(1, -1)])
        expect((await get('/ui', { 'if-none-match': unknown })).status).toBe(200);
    },
  );

  it('load files that are kept for good, because their address changes with them', async () => {
    const get = await start();
    const { text } = await get('/ui');
    const path = /"(\/ui\/\w{12}\/page\/chat\.js)"/.exec(text)?.[1] as string;
    const { headers } = await get(path);
    expect(headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': 'text/javascript; charset=utf-8',
      'x-content-type-options': 'nosniff',
    });
    expect((await get(path, { 'if-none-match': String(headers.etag) })).status).toBe(304);
    expect((await get(path.replace(/\w{12}/, '000000000000'))).status).toBe(404);
  });

  it.each([
    ...[
      'page/../../package.json',
      'page/..%2f..%2fpackage.json',
      'page/%2e%2e%2fpackage.json',
      'page/..%5cx',
    ],
    ...[
      'page/chat.html',
      'page/tsconfig.json',
      'client/index.d.ts',
      'client/index.js.map',
      'library/package.json',
    ],
    ...[
      'page/',
      'page',
      'constructor/name',
      '__proto__/x',
      'page/__proto__',
      'page/%00',
      'client/../page/chat.js',
    ],
  ])('load nothing but those: %s is not there', async (name) => {
    const get = await start();
    const [, folder] = /"(\/ui\/\w{12}\/)page/.exec((await get('/ui')).text) as string[];
    expect((await get(`${folder}${name}`)).status).toBe(404);
    expect((await get(`/ui/${name}`)).status).toBe(404);
  });

  it('are named in the overview, and go with the plugin', async () => {
    const get = await start();
    expect((await get('/')).json.endpoints).toMatchObject({ ui: '/ui', inspector: '/ui/inspector' });
    await hive.kernel.unload('ui-web');
    expect((await get('/')).json.endpoints).not.toHaveProperty('ui');
    for (const path of ['/ui', '/ui/', '/ui/inspector', '/ui/state'])
      expect((await get(path)).status).toBe(404);
  });

  it('are one page where the inspector is turned off', async () => {
    const get = await start({ inspector: false });
    expect((await get('/ui')).status).toBe(200);
    expect((await get('/')).json.endpoints).not.toHaveProperty('inspector');
    for (const path of ['/ui/inspector', '/ui/state']) expect((await get(path)).status).toBe(404);
  });
});

describe('what the inspector is told', () => {
  const agent = new ScriptedAgent('scripted', [text('secret answer'), 'wait', done]);
  const careless = plugin('careless', {
    setup(ctx) {
      ctx.addAgent(agent);
      ctx.effect('connect to redis://user:hunter2@host/0', () => () => {});
      ctx.effect('watch /home/me/extensions', () => () => {});
      ctx.effect({ kind: 'route', name: 'GET /fine/{name}' }, () => () => {});
      ctx.effect({ kind: 'event', name: 'chat:started' }, () => () => {});
    },
  });
  const broken = plugin('broken', {
    setup() {
      throw new Error('ENOENT /etc/waggle/key.pem');
    },
  });

  it('is what goes on, and nothing that opens anything: no id of a stream, no text, no path, no secret', async () => {
    const get = await start({}, [careless]);
    await expect(hive.kernel.load(broken)).rejects.toThrow();
    const client = await WsClient.connect(`${hive.ws}/somebody-private`);
    client.send({
      type: 'stream_request',
      content: 'private question',
      agent: 'scripted',
      conversationId: 'conv-1',
    });
    const { streamId } = await client.until(({ type }) => type === 'streaming_token');
    const { text: body, json, headers } = await get('/ui/state');
    for (const secret of [
      streamId as string,
      'secret answer',
      'private',
      'conv-1',
      'hunter2',
      '/home',
      '/etc',
      '127.0.0.1',
    ])
      expect(body).not.toContain(secret);
    expect(headers['cache-control']).toBe('no-store');
    expect(json.plugins.find(({ id }: { id: string }) => id === 'careless')).toMatchObject({
      state: 'active',
      registered: {
        routes: ['GET /fine/{name}'],
        agents: ['scripted'],
        tasks: [],
        events: ['chat:started'],
        others: 2,
      },
    });
    expect(json.streams).toMatchObject({
      running: 1,
      replies: [{ number: 1, agent: 'scripted', state: 'running', durationMs: expect.any(Number) }],
    });
    expect(json.connections).toMatchObject({
      open: 1,
      opened: 1,
      paths: { '/ws/{client_id}': 1 },
      closed: {},
    });

    agent.release();
    await client.until(({ type }) => type === 'streaming_end');
    client.send({ type: 'stream_request', content: 'x', agent: 'nobody', requestId: 'n' });
    await client.end('n');
    client.send({ type: 'stream_request', content: 'x', agent: 'scripted', requestId: 'c' });
    const { streamId: second } = await client.until(
      ({ type, requestId }) => type === 'streaming_start' && requestId === 'c',
    );
    client.send({ type: 'cancel', streamId: second });
    await client.until(({ type }) => type === 'cancelled');
    await client.close();
    await hive.settled();
    const { json: after } = await get('/ui/state');
    expect(after.streams.ended).toEqual({ finished: 1, failed: 1, cancelled: 1 });
    expect(after.streams.replies).toMatchObject([
      { state: 'cancelled', agent: 'scripted' },
      { state: 'failed', code: 'AGENT_UNKNOWN' },
      { state: 'finished', outputTokens: 2 },
    ]);
    expect(after.connections).toMatchObject({ open: 0, opened: 1, paths: { '/ws/{client_id}': 0 } });
    expect(after.queue).toMatchObject({ waiting: 0, running: 0 });
    expect(after.tasks).toContainEqual(expect.objectContaining({ name: 'chat:message', lane: 'main' }));
  });
});
