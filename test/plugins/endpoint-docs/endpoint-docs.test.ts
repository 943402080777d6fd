import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definePlugin, Transport } from '#kernel';
import endpointDocs from '../../../plugins/endpoint-docs/index.js';
import endpointOverview from '../../../plugins/endpoint-overview/index.js';
import { type Hive, startHive } from '../../support/hive.js';
import { call } from '../../support/transport.js';

const hello = definePlugin({
  name: 'hello',
  apiVersion: 1,
  requires: { transport: Transport },
  setup(ctx, { transport }) {
    ctx.effect('GET /hello/{name}', () =>
      transport.route({
        method: 'GET',
        path: '/hello/{name}',
        handler: (request, reply) => reply.json(200, { hello: request.params.name }),
      }),
    );
  },
});

let hive: Hive;
beforeAll(async () => {
  hive = await startHive({ plugins: [endpointOverview, endpointDocs, hello] });
});
afterAll(() => hive.stop());

const get = (path: string) => call(Number(new URL(hive.url).port), { path });

describe('the page', () => {
  it('refers to nothing but this server, and all of that is there', async () => {
    const { text, headers } = await get('/docs');
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    const references = [...text.matchAll(/\b(?:src|href|action)="([^"]*)"/g)].map(([, to]) => to as string);
    const paths = references.filter((to) => to.startsWith('/'));
    expect(references.filter((to) => !/^(\/[^/]|#[a-z]+$|data:,$)/.test(to))).toEqual([]);
    expect(paths.length).toBeGreaterThan(5);
    for (const path of paths) expect((await get(path)).status, path).toBe(200);
    const anchors = references.filter((to) => to.startsWith('#'));
    for (const anchor of anchors) expect(text).toContain(`id="${anchor.slice(1)}"`);
  });

  it("may load nothing but this server's own files, and run nothing that stands in the page", async () => {
    const { text, headers } = await get('/docs');
    const policy = Object.fromEntries(
      String(headers['content-security-policy'])
        .split('; ')
        .map((rule) => [rule.split(' ')[0], rule.split(' ').slice(1).join(' ')]),
    );
    expect(policy).toEqual({
      'default-src': "'self'",
      'img-src': "'self' data:",
      'object-src': "'none'",
      'base-uri': "'none'",
      'form-action': "'none'",
      'frame-ancestors': "'none'",
    });
    expect(text).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:/);
  });

  it('has a name for everything that one can fill in, and fits a narrow screen', async () => {
    const { text } = await get('/docs');
    const fields = [...text.matchAll(/<(?:input|select|textarea) id="(\w+)"/g)].map(([, id]) => id);
    expect(fields).toEqual(['endpoint', 'address', 'type', 'frame']);
    for (const id of fields) expect(text).toContain(`<label for="${id}">`);
    expect(text).toContain('content="width=device-width, initial-scale=1"');
  });
});

describe('what the page loads', () => {
  const filesOf = (text: string) => [...text.matchAll(/"(\/docs\/\w+\/[\w.-]+)"/g)].map(([, path]) => path);

  it('may be kept for good, because its path changes with it', async () => {
    const { text } = await get('/docs');
    const files = filesOf(text);
    expect(files.map((path) => path?.split('/').at(-1))).toEqual([
      'swagger-ui.css',
      'page.css',
      'swagger-ui-bundle.js',
      'page.js',
    ]);
    for (const path of files as string[]) {
      const { headers, text: body } = await get(path);
      expect(headers['cache-control']).toBe('public, max-age=31536000, immutable');
      expect(headers['content-type']).toMatch(path.endsWith('.css') ? /^text\/css/ : /^text\/javascript/);
      expect(headers['x-content-type-options']).toBe('nosniff');
      for (const [, imported] of body.match(/^import /m) ? body.matchAll(/from '\.\/([\w.]+)'/g) : [])
        expect((await get(path.replace(/[\w.]+$/, imported as string))).status).toBe(200);
    }
  });

  it('asks no other host: no font, image or style sheet comes from elsewhere', async () => {
    const { text } = await get('/docs');
    for (const path of filesOf(text).filter((each) => each?.endsWith('.css')) as string[]) {
      const { text: css } = await get(path);
      expect(css).not.toContain('@import');
      for (const [, to] of css.matchAll(/url\(\s*["']?([^)]{0,5})/g)) expect(to).toBe('data:');
    }
    const page = filesOf(text).find((path) => path?.endsWith('page.js')) as string;
    expect((await get(page)).text).toContain("validatorUrl: 'none'");
  });

  it.each([
    '../package.json',
    '..%2f..%2fpackage.json',
    '%2e%2e%2fpackage.json',
    '..%5cpackage.json',
    'index.html',
    'swagger-ui.css.map',
    'constructor',
    '__proto__',
    '%00',
    '',
  ])('is nothing else: %j is not found', async (name) => {
    const { text } = await get('/docs');
    const folder = /\/docs\/\w+\//.exec(text)?.[0];
    expect((await get(`${folder}${name}`)).status).toBe(404);
    expect((await get(`/docs/another/${name || 'page.js'}`)).status).toBe(404);
  });
});

describe('the documents', () => {
  it('have what is registered at the moment, also what nobody has described', async () => {
    const { json } = await get('/openapi.json');
    expect(json.paths['/hello/{name}'].get.summary).toBe('Not described');
    for (const path of ['/docs', '/docs/{folder}/{file}', '/openapi.json', '/asyncapi.json'])
      expect(json.paths[path].get.summary).not.toBe('Not described');
    await hive.kernel.unload('hello');
    expect((await get('/openapi.json')).json.paths).not.toHaveProperty('/hello/{name}');
    expect(Object.keys((await get('/asyncapi.json')).json.channels)).toEqual([
      '/v1/responses',
      '/ws/{client_id}',
    ]);
  });

  it('are named in the overview', async () => {
    expect((await get('/')).json.endpoints).toMatchObject({
      docs: '/docs',
      openapi: '/openapi.json',
      asyncapi: '/asyncapi.json',
    });
  });
});
