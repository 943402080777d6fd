import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pageText } from '../support/pages.js';
import { startServer } from '../support/server.js';
import { WsClient } from '../support/ws-client.js';

/** A third party's plugin: routes that say nothing of access, an endpoint, and the list of all that is registered. */
const extension = `
const token = (name) => Symbol.for('waggle:' + name);
const users = { ann: { id: 'ann', scopes: [] }, root: { id: 'root', scopes: ['admin'] } };
export default {
  name: 'third-party',
  apiVersion: 1,
  requires: { transport: token('transport'), access: token('access') },
  setup(ctx, { transport, access }) {
    access.add({ name: 'test', authenticate: ({ token }) => users[token] });
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
      transport.route({ method, path: '/third-party/{id}', handler: (_, reply) => reply.json(200, 'open') });
    transport.websocket({ path: '/third-party/live', open: (socket) => ({ message: () => socket.send('open') }) });
    transport.route({ method: 'GET', path: '/registered', access: 'public', handler: (_, reply) => reply.json(200, {
      routes: transport.routes.map(({ method, path, access }) => ({ method, path, access })),
      endpoints: transport.endpoints.map(({ path }) => path),
    }) });
  },
};
`;

interface Registered {
  readonly routes: readonly { readonly method: string; readonly path: string; readonly access?: string }[];
  readonly endpoints: readonly string[];
}

/** The access of each route, as the table of routes has it; those of the third party are as they have to be. */
const written = new Map([
  ...[...pageText('plugins/README.md').matchAll(/^\| (`.*`) \| (public|user|admin) \| \[/gm)].flatMap(
    ([, routes, access]) =>
      [...(routes as string).matchAll(/`([^`]+)`/g)].map(
        ([, route]) => [route as string, access as string] as const,
      ),
  ),
  ...['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].map(
    (method) => [`${method} /third-party/{id}`, 'user'] as const,
  ),
  ['GET /registered', 'public'] as const,
]);

describe.each(['uws', 'node'] as const)('every route and upgrade, over transport-%s', (transport) => {
  let server: Awaited<ReturnType<typeof startServer>>;
  let registered: Registered;
  const pathOf = (path: string) => path.replace(/\{\w+\*?\}/g, 'x');
  const ask = async (method: string, path: string, headers: Record<string, string> = {}) => {
    const withBody =
      method === 'GET' ? {} : { body: '{}', headers: { 'content-type': 'application/json', ...headers } };
    const answer = await fetch(server.url + pathOf(path), {
      method,
      headers,
      redirect: 'manual',
      ...withBody,
    });
    await answer.body?.cancel();
    return answer;
  };

  beforeAll(async () => {
    server = await startServer({
      transport,
      files: { 'third-party.mjs': extension },
      config: { plugins: { 'third-party': { use: './third-party.mjs' }, 'notify-webhook': {} } },
    });
    registered = (await (await fetch(`${server.url}/registered`)).json()) as Registered;
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
  });

  it('has its row in the table of routes', () => {
    const names = registered.routes.map(({ method, path }) => `${method} ${path}`);
    expect(names.length).toBeGreaterThan(25);
    const all = [...names, ...registered.endpoints.map((path) => `WS ${path}`)];
    expect(all.filter((name) => !written.has(name) && !name.startsWith('WS /third-party'))).toEqual([]);
    expect([...written.keys()].filter((name) => !all.includes(name))).toEqual([]);
  });

  it('asks for credentials, except where that is written', async () => {
    for (const { method, path } of registered.routes) {
      const name = `${method} ${path}`;
      const answer = await ask(method, path);
      expect(answer.status === 401, name).toBe(written.get(name) !== 'public');
      if (answer.status === 401) expect(answer.headers.get('www-authenticate'), name).toMatch(/^Bearer/);
    }
  });

  it('asks for the scope of operators where that is written', async () => {
    for (const { method, path } of registered.routes) {
      const name = `${method} ${path}`;
      const isAdmin = written.get(name) === 'admin';
      expect((await ask(method, path, { 'x-api-key': 'ann' })).status === 403, name).toBe(isAdmin);
      if (!isAdmin) continue;
      const { status } = await ask(method, path, { 'x-api-key': 'root' });
      // What a path of the test names does not exist, and its body is empty.
      expect(path.includes('{') || method !== 'GET' ? [400, 404] : [200], name).toContain(status);
    }
  });

  it('opens no WebSocket without credentials', async () => {
    expect(registered.endpoints).toEqual(expect.arrayContaining(['/ws/{client_id}', '/third-party/live']));
    for (const path of registered.endpoints) {
      const opened = WsClient.connect(server.url.replace('http', 'ws') + pathOf(path));
      // One whose first frame cannot bring them is refused at once.
      if (path === '/v1/responses') await expect(opened).rejects.toThrow('401');
      else {
        const client = await opened;
        client.send({ type: 'stream_request', content: 'Hi' });
        expect((await client.closed).code, path).toBe(4401);
        expect(client.frames).toEqual([]);
      }
      const bad = WsClient.connect(server.url.replace('http', 'ws') + pathOf(path), {
        headers: { 'x-api-key': 'no' },
      });
      await expect(bad).rejects.toThrow(/401|refused/);
    }
  });

  it('is described with the credentials that it needs', async () => {
    const document = await (await fetch(`${server.url}/openapi.json`)).json();
    expect(Object.keys(document.components.securitySchemes)).toEqual(['bearer', 'key']);
    for (const { method, path } of registered.routes) {
      const operation = document.paths[path.replace('*}', '}')][method.toLowerCase()];
      const isPublic = written.get(`${method} ${path}`) === 'public';
      expect(operation.security, path).toEqual(isPublic ? [] : [{ bearer: [] }, { key: [] }]);
      if (!isPublic) expect(operation.responses, path).toHaveProperty('401');
    }
  });

  it('speaks of missing credentials below /v1 as OpenAI does', async () => {
    const answer = await fetch(`${server.url}/v1/models`);
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({
      error: { type: 'authentication_error', code: 'invalid_api_key', message: expect.any(String) },
    });
  });
});
