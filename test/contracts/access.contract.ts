import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import {
  Access,
  type AuditEntry,
  type Authenticator,
  definePlugin,
  Limits,
  type Plugin,
  type Principal,
  type Socket,
  Transport,
  WaggleError,
} from '#kernel';
import type { TransportConfig } from '#sdk/http';
import { accessPlugin, as, TestUsers } from '../support/access.js';
import {
  Client,
  call,
  deferred,
  type RunningTransport,
  refusedUpgrade,
  runTransport,
} from '../support/transport.js';

/** Every transport asks for credentials in the same way, at one place. */
export function accessContract(name: string, plugin: Plugin): void {
  describe(`${name}: access`, () => {
    const open: { close(): Promise<unknown> }[] = [];

    afterEach(async () => {
      for (const each of open.splice(0).reverse()) await each.close();
    });

    const start = async (users: TestUsers | undefined, config: Partial<TransportConfig> = {}) => {
      const running = await runTransport(plugin, config);
      open.push({ close: () => running.kernel.stop() });
      const access = running.kernel.get(Access);
      if (users) access.add(users);
      const audit: AuditEntry[] = [];
      running.kernel.bus.on('access:audited', (entry) => void audit.push(entry));
      const sockets: Socket[] = [];
      const seen: (Principal | undefined)[] = [];
      for (const level of ['public', 'user', 'admin'] as const)
        running.route({
          method: 'GET',
          path: `/${level}`,
          access: level,
          handler: ({ principal }, reply) => {
            seen.push(principal);
            reply.json(200, { user: principal?.id ?? null });
          },
        });
      running.route({
        method: 'POST',
        path: '/third-party',
        handler: async (request, reply) =>
          reply.json(200, { user: request.principal?.id, body: await request.json() }),
      });
      running.websocket({
        path: '/echo/{name}',
        open: (socket) => {
          sockets.push(socket);
          return { message: (text) => void socket.send(`${socket.principal?.id ?? 'anyone'}: ${text}`) };
        },
      });
      running.websocket({
        path: '/operators',
        access: 'admin',
        open: (socket) => ({ message: (text) => void socket.send(text) }),
      });
      running.websocket({
        path: '/open',
        access: 'public',
        open: (socket) => ({ message: (text) => void socket.send(text) }),
      });
      return { ...running, access, audit, sockets, seen };
    };
    const connect = async ({ port }: RunningTransport, path: string, headers = {}) => {
      const client = await Client.open(port, path, { headers });
      open.push({ close: async () => client.ws.terminate() });
      return client;
    };
    const closedBy = async (client: Client) => (await client.closed).code;

    it.each<[name: string, headers: Record<string, string>, status: number]>([
      ['no credentials', {}, 401],
      ['an unknown token', { authorization: 'Bearer nobody' }, 401],
      ['an unknown key', { 'x-api-key': 'nobody' }, 401],
      ['an empty token', { authorization: 'Bearer ' }, 401],
      ['the name of a user', { authorization: 'Bearer ann' }, 401],
      ['another scheme', { authorization: 'Basic token-of-ann' }, 401],
      ['no scheme', { authorization: 'token-of-ann' }, 401],
      ['two tokens', { authorization: 'Bearer token-of-ann token-of-bob' }, 401],
      ['a token in a cookie', { cookie: 'token=token-of-ann' }, 401],
      ['a bad token beside a good key', { authorization: 'Bearer nobody', 'x-api-key': 'token-of-ann' }, 401],
      ['two tokens beside a good key', { authorization: 'Bearer a b', 'x-api-key': 'token-of-ann' }, 401],
      ['a token with a comma behind it', { authorization: 'Bearer token-of-ann,' }, 401],
      ['the token of a user', { authorization: 'Bearer token-of-ann' }, 200],
      ['a scheme in lower case', { authorization: 'bearer token-of-ann' }, 200],
      ['a key', { 'x-api-key': 'token-of-ann' }, 200],
      ['a key beside another scheme', { authorization: 'Basic x', 'x-api-key': 'token-of-ann' }, 200],
    ])('%s', async (_name, headers, status) => {
      const { port, audit, seen } = await start(new TestUsers());
      const answer = await call(port, { path: '/user', headers });
      expect(answer.status).toBe(status);
      if (status === 200) return void expect(answer.json).toEqual({ user: 'ann' });
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer /);
      expect(answer.json.error).toMatchObject({ code: 'UNAUTHORIZED', requestId: expect.any(String) });
      expect(answer.text).not.toMatch(/token-of|nobody/);
      expect(seen).toEqual([]);
      expect(audit).toMatchObject([{ action: 'refused', what: 'GET /user', why: 'UNAUTHORIZED' }]);
      expect(JSON.stringify(audit)).not.toMatch(/token-of|nobody/);
    });

    it('does not read a token from the URL', async () => {
      const { port } = await start(new TestUsers());
      for (const name of ['token', 'access_token', 'key', 'api_key', 'authorization'])
        expect((await call(port, { path: `/user?${name}=token-of-ann` })).status).toBe(401);
      expect(await refusedOrWaiting(port, '/echo/a?token=token-of-ann')).toBe(4401);
    });

    it.each([
      ['public', undefined, 200],
      ['public', 'ann', 200],
      ['user', 'ann', 200],
      ['user', 'root', 200],
      ['admin', undefined, 401],
      ['admin', 'ann', 403],
      ['admin', 'root', 200],
    ])('a route with the access "%s", called by %s: %i', async (level, user, status) => {
      const { port, audit } = await start(new TestUsers());
      const answer = await call(port, { path: `/${level}`, headers: user ? as(user) : {} });
      expect(answer.status).toBe(status);
      if (status === 403) expect(answer.json.error.code).toBe('FORBIDDEN');
      if (status === 200 && level === 'admin')
        expect(audit).toMatchObject([{ action: 'admin', what: 'GET /admin', userId: 'root' }]);
    });

    it('closes a route of a third party without its doing, for every method', async () => {
      const { port } = await start(new TestUsers());
      const post = { method: 'POST', path: '/third-party', body: '{"a":1}' };
      const json = { 'content-type': 'application/json' };
      expect((await call(port, { ...post, headers: json })).status).toBe(401);
      expect((await call(port, { method: 'HEAD', path: '/user' })).status).toBe(401);
      const answer = await call(port, { ...post, headers: { ...json, ...as('bob') } });
      expect(answer.json).toEqual({ user: 'bob', body: { a: 1 } });
    });

    it('lets a preflight pass, which has no credentials', async () => {
      const { port } = await start(new TestUsers());
      const headers = {
        origin: 'http://localhost:5173',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization, content-type',
      };
      const answer = await call(port, { method: 'OPTIONS', path: '/third-party', headers });
      expect(answer.status).toBe(204);
      expect(answer.headers['access-control-allow-headers']).toContain('authorization');
    });

    it('waits for credentials that cannot be judged at once, and keeps the body meanwhile', async () => {
      const users = new TestUsers();
      users.isSlow = true;
      const { port } = await start(users);
      const body = JSON.stringify({ text: 'x'.repeat(100_000) });
      const headers = { 'content-type': 'application/json', ...as('ann') };
      const answer = await call(port, { method: 'POST', path: '/third-party', headers, body });
      expect(answer.json).toEqual({ user: 'ann', body: JSON.parse(body) });
      expect((await call(port, { path: '/user' })).status).toBe(401);
      expect((await call(port, { path: '/admin', headers: as('ann') })).status).toBe(403);
      const client = await connect({ port } as RunningTransport, '/echo/a', as('ann'));
      for (const text of ['1', '2', '3']) client.send(text);
      expect(await client.take(3)).toEqual(['ann: 1', 'ann: 2', 'ann: 3']);
    });

    it('asks one authenticator after the other, and the first that knows the credentials decides', async () => {
      const { port, access } = await start(new TestUsers({ a: { id: 'first' } }));
      access.add(new TestUsers({ a: { id: 'second' }, b: { id: 'second' } }));
      const undo = access.add({
        name: 'strict',
        authenticate: ({ token }) => {
          if (token === 'c') throw new WaggleError('UNAUTHORIZED', { why: 'it is c' });
          return undefined;
        },
      });
      access.add(new TestUsers({ c: { id: 'third' } }));
      const userOf = async (token: string) =>
        (await call(port, { path: '/user', headers: { 'x-api-key': token } })).json.user;
      expect([await userOf('a'), await userOf('b'), await userOf('c')]).toEqual([
        'first',
        'second',
        undefined,
      ]);
      await undo();
      expect(await userOf('c')).toBe('third');
    });

    it.each<[what: string, user: unknown]>([
      ['a function', Object],
      ['an object of no kind', Object.prototype],
      ['no id', { scopes: ['admin'] }],
      ['an empty id', { id: '', scopes: [] }],
      ['a number for an id', { id: 1, scopes: [] }],
      ['an id that is too long', { id: 'x'.repeat(129), scopes: [] }],
      ['no scopes', { id: 'ann' }],
      ['a text for scopes', { id: 'ann', scopes: 'admin' }],
      ['an end that is no number', { id: 'ann', scopes: [], expiresAt: Number.NaN }],
      ['an end that never comes', { id: 'ann', scopes: [], expiresAt: Number.POSITIVE_INFINITY }],
      ['true', true],
    ])('lets nobody in where an authenticator gives %s for a user', async (_what, user) => {
      const { port, access, sockets, log } = await start(undefined);
      for (const answer of [user, Promise.resolve(user)]) {
        await access.add({
          name: 'broken',
          authenticate: ({ token }) => (token === undefined ? undefined : (answer as Principal)),
        });
        expect((await call(port, { path: '/user', headers: { 'x-api-key': 'x' } })).status).toBe(500);
      }
      const ws = new WebSocket(`ws://127.0.0.1:${port}/echo/a`, { headers: { 'x-api-key': 'x' } });
      ws.on('error', () => {});
      await new Promise((resolve) => ws.on('close', resolve));
      const late = await Client.open(port, '/echo/a');
      late.send('{"type":"auth","token":"x"}');
      expect(await closedBy(late)).toBe(1011);
      expect(log).toContainEqual(expect.objectContaining({ level: 'error', connection: expect.any(String) }));
      expect(sockets).toEqual([]);
    });

    it('stays closed when the plugin that asked for credentials has gone', async () => {
      const { kernel, port, audit } = await start(undefined);
      expect((await call(port, { path: '/user' })).status).toBe(200);
      const undo = kernel.get(Access).add(new TestUsers());
      const client = await connect({ port } as RunningTransport, '/echo/a', as('ann'));
      await undo();
      expect(await closedBy(client)).toBe(4401);
      expect((await call(port, { path: '/user', headers: as('ann') })).status).toBe(401);
      expect(audit.at(-1)).toMatchObject({ action: 'refused' });
    });

    it('takes users at their word without a plugin that asks for credentials', async () => {
      const { port, log, sockets } = await start(undefined);
      expect(log).toContainEqual(
        expect.objectContaining({ level: 'warn', msg: expect.stringContaining('open') }),
      );
      expect((await call(port, { path: '/admin', headers: { authorization: 'Bearer any' } })).json).toEqual({
        user: null,
      });
      const client = await connect({ port } as RunningTransport, '/echo/a');
      client.send('hi');
      expect(await client.take(1)).toEqual(['anyone: hi']);
      expect(await sockets[0]?.authenticate?.('any')).toBeUndefined();
    });

    it('stays open beside an authenticator that is additional, and closed with one that is not', async () => {
      const { port, access } = await start(undefined);
      const additional: Authenticator = {
        name: 'badges',
        isAdditional: true,
        authenticate: (credentials) =>
          credentials.header('x-badge') === 'ann' ? { id: 'ann', scopes: [] } : undefined,
      };
      access.add(additional);
      expect(access.isRequired).toBe(false);
      const userOf = async (headers = {}) => (await call(port, { path: '/user', headers })).json.user;
      expect(await userOf({ 'x-badge': 'ann' })).toBeNull();
      access.add(new TestUsers());
      expect([await userOf(), await userOf({ 'x-badge': 'ann' }), await userOf(as('bob'))]).toEqual([
        undefined,
        'ann',
        'bob',
      ]);
    });

    it('takes no credentials away where the server stops: clients come back', async () => {
      const running = await runTransport(plugin, {}, [accessPlugin()]);
      running.websocket({ path: '/echo', open: (socket) => ({ message: (text) => void socket.send(text) }) });
      const client = await connect(running, '/echo', as('ann'));
      await running.kernel.stop();
      expect(await closedBy(client)).toBe(1001);
    });

    it('revokes a principal with the one that it was made from', async () => {
      const users = new TestUsers();
      const running = await start(users);
      const { access } = running;
      const undo = access.add({
        name: 'badges',
        isAdditional: true,
        authenticate: (credentials) => {
          const token = credentials.header('x-badge');
          if (token === undefined) return undefined;
          const { peerAddress, isCrossOrigin } = credentials;
          const plain = { token, peerAddress, isCrossOrigin, header: () => undefined };
          const parent = access.authenticate(plain) as Principal;
          return { ...parent, parent };
        },
      });
      const [first, second, third] = [
        await connect(running, '/echo/1', { 'x-badge': 'token-of-ann' }),
        await connect(running, '/echo/2', { 'x-badge': 'token-of-bob' }),
        await connect(running, '/echo/3', as('bob')),
      ];
      const revoked = users.remove('token-of-ann');
      access.revoke((principal) => principal === revoked);
      expect(await closedBy(first)).toBe(4401);
      second.send('hi');
      expect(await second.take(1)).toEqual(['bob: hi']);
      await undo();
      expect(await closedBy(second)).toBe(4401);
      third.send('hi');
      expect(await third.take(1)).toEqual(['bob: hi']);
    });

    it('names the user in the log of a request that fails', async () => {
      const { port, log, route } = await start(new TestUsers());
      route({
        method: 'GET',
        path: '/broken',
        handler: () => {
          throw new Error('a bug');
        },
      });
      expect((await call(port, { path: '/broken', headers: as('ann') })).status).toBe(500);
      expect(log).toContainEqual(
        expect.objectContaining({ level: 'error', userId: 'ann', route: '/broken' }),
      );
    });

    it('refuses an expired principal, whatever its authenticator says', async () => {
      const { port } = await start(new TestUsers({ old: { id: 'ann', expiresAt: Date.now() - 1 } }));
      expect((await call(port, { path: '/user', headers: { 'x-api-key': 'old' } })).status).toBe(401);
    });

    describe('a guard', () => {
      it('refuses requests and upgrades, knows the user, and is undone', async () => {
        const running = await start(new TestUsers());
        const { port, transport } = running;
        const met: unknown[] = [];
        const undo = transport.guard(({ request, path, access, kind }) => {
          met.push([request.principal?.id, path, access, kind]);
          if (request.principal?.id === 'bob') throw new WaggleError('FORBIDDEN', { why: 'not today' });
        });
        expect((await call(port, { path: '/user', headers: as('ann') })).status).toBe(200);
        expect((await call(port, { path: '/user', headers: as('bob') })).json.error.message).toContain(
          'not today',
        );
        expect((await call(port, { path: '/public' })).status).toBe(200);
        expect(await refusedUpgrade(port, '/echo/a', { headers: as('bob') })).toEqual({
          status: 403,
          code: 'FORBIDDEN',
        });
        await connect(running, '/echo/a', as('ann'));
        expect(met).toEqual([
          ['ann', '/user', 'user', 'request'],
          ['bob', '/user', 'user', 'request'],
          [undefined, '/public', 'public', 'request'],
          ['bob', '/echo/{name}', 'user', 'upgrade'],
          ['ann', '/echo/{name}', 'user', 'upgrade'],
        ]);
        await undo();
        expect((await call(port, { path: '/user', headers: as('bob') })).status).toBe(200);
      });

      it('may take its time', async () => {
        const running = await start(new TestUsers());
        const { port, transport } = running;
        transport.guard(async ({ request }) => {
          await new Promise((done) => setImmediate(done));
          if (request.principal?.id === 'bob') throw new WaggleError('FORBIDDEN', { why: 'not today' });
        });
        expect((await call(port, { path: '/user', headers: as('ann') })).status).toBe(200);
        expect((await call(port, { path: '/user', headers: as('bob') })).status).toBe(403);
        const client = await connect(running, '/echo/a', as('ann'));
        client.send('1');
        expect(await client.take(1)).toEqual(['ann: 1']);
        expect(await closedBy(await connect(running, '/echo/a', as('bob')))).toBe(4403);
        const late = await connect(running, '/echo/a');
        for (const frame of [{ type: 'auth', token: 'token-of-ann' }, 'x']) late.send(JSON.stringify(frame));
        expect((await late.take(2))[1]).toBe('ann: "x"');
        const open = await connect(running, '/open');
        open.send('y');
        expect(await open.take(1)).toEqual(['y']);
      });

      it('judges a user who is told by the first frame as one who is told by the upgrade', async () => {
        const running = await start(new TestUsers());
        const met: unknown[] = [];
        running.transport.guard(({ request, kind }) => {
          met.push([request.principal?.id, kind]);
          if (request.principal?.id === 'bob') throw new WaggleError('FORBIDDEN', { why: 'not today' });
        });
        const auth = (user: string) => JSON.stringify({ type: 'auth', token: `token-of-${user}` });
        const bob = await connect(running, '/echo/a');
        bob.send(auth('bob'));
        expect(await closedBy(bob)).toBe(4403);
        const ann = await connect(running, '/echo/a');
        ann.send(auth('ann'));
        ann.send('hi');
        expect((await ann.take(2))[1]).toBe('ann: hi');
        expect(met).toEqual([
          ['bob', 'upgrade'],
          ['ann', 'upgrade'],
        ]);
        expect(running.sockets).toHaveLength(1);
        expect(running.audit).toMatchObject([
          { action: 'refused', what: 'GET /echo/{name}', userId: 'bob', why: 'FORBIDDEN' },
        ]);
      });

      it('is asked after the one before it, and its refusal is heard', async () => {
        const running = await start(new TestUsers());
        const met: string[] = [];
        const refusing = (name: string) => async () => {
          met.push(name);
          await new Promise((done) => setImmediate(done));
          throw new WaggleError('FORBIDDEN', { why: name });
        };
        running.transport.guard(refusing('first'));
        running.transport.guard(refusing('second'));
        const answer = await call(running.port, { path: '/user', headers: as('ann') });
        expect(answer.json.error.message).toContain('first');
        expect(await closedBy(await connect(running, '/echo/a', as('ann')))).toBe(4403);
        expect(met).toEqual(['first', 'first']);
        expect(running.audit).toHaveLength(2);
      });

      it('of a plugin is undone with it', async () => {
        const strict = definePlugin({
          name: 'strict',
          apiVersion: 1,
          requires: { transport: Transport },
          setup: (_ctx, { transport }) =>
            void transport.guard(() => {
              throw new WaggleError('FORBIDDEN', { why: 'closed' });
            }),
        });
        const running = await runTransport(plugin, {}, [strict]);
        open.push({ close: () => running.kernel.stop() });
        running.route({ method: 'GET', path: '/user', handler: (_request, reply) => reply.json(200, {}) });
        expect((await call(running.port, { path: '/user' })).status).toBe(403);
        await running.kernel.unload('strict');
        expect((await call(running.port, { path: '/user' })).status).toBe(200);
      });
    });

    describe('a WebSocket', () => {
      const auth = (user: string) => JSON.stringify({ type: 'auth', token: `token-of-${user}` });

      it.each([
        [
          'an unknown token',
          { authorization: 'Bearer nobody' },
          '/echo/a',
          { status: 401, code: 'UNAUTHORIZED' },
        ],
        ['an unknown key', { 'x-api-key': 'nobody' }, '/echo/a', { status: 401, code: 'UNAUTHORIZED' }],
        ['too little scope', as('ann'), '/operators', { status: 403, code: 'FORBIDDEN' }],
      ])('is refused at its upgrade with %s', async (_name, headers, path, refusal) => {
        const { port } = await start(new TestUsers());
        expect(await refusedUpgrade(port, path, { headers: { ...headers } })).toEqual(refusal);
      });

      it('brings its credentials with the upgrade', async () => {
        const running = await start(new TestUsers());
        const client = await connect(running, '/echo/a', as('ann'));
        client.send('hi');
        expect(await client.take(1)).toEqual(['ann: hi']);
        expect(running.told).toMatchObject([
          { name: 'connection:opened', event: { userId: 'ann' } },
          { name: 'connection:identified', event: { userId: 'ann' } },
        ]);
        client.ws.close();
        await client.closed;
        await expect
          .poll(() => running.told.at(-1))
          .toMatchObject({ name: 'connection:closed', event: { userId: 'ann' } });
      });

      it('brings them with its first frame', async () => {
        const running = await start(new TestUsers());
        const client = await connect(running, '/echo/a');
        client.send(auth('ann'));
        client.send('1');
        client.send('2');
        const [welcome, ...echoes] = await client.take(3);
        expect(JSON.parse(welcome as string)).toEqual({ type: 'auth_ok', userId: 'ann', scopes: [] });
        expect(echoes).toEqual(['ann: 1', 'ann: 2']);
        expect(running.told.map(({ name, event }) => [name, 'userId' in event])).toEqual([
          ['connection:opened', false],
          ['connection:identified', true],
        ]);
      });

      it.each([
        ['an unknown token', '{"type":"auth","token":"nobody"}'],
        ['no token', '{"type":"auth"}'],
        ['an empty token', '{"type":"auth","token":""}'],
        ['a token that is no text', '{"type":"auth","token":{"a":1}}'],
        ['another frame', '{"type":"ping"}'],
        ['no JSON', 'hello'],
        ['deep JSON', '['.repeat(5000)],
        ['null', 'null'],
      ])('is closed with 4401 after %s', async (_name, frame) => {
        const running = await start(new TestUsers());
        const client = await connect(running, '/echo/a');
        client.send(frame);
        expect(await closedBy(client)).toBe(4401);
        expect(running.sockets).toEqual([]);
      });

      it('is closed with 4401 where nothing comes in time', async () => {
        const running = await start(new TestUsers(), { authTimeoutMs: 50 });
        expect(await closedBy(await connect(running, '/echo/a'))).toBe(4401);
        expect(running.sockets).toEqual([]);
      });

      it.each<[name: string, config: Partial<TransportConfig>, path: string]>([
        ['is not accepted by its endpoint', {}, '/picky'],
        ['is one too many', { maxConnections: 1 }, '/echo/a'],
        ['leaves at once', {}, '/echo/a'],
      ])('that %s while bad credentials are judged does no harm', async (_name, config, path) => {
        const users = new TestUsers();
        users.isSlow = true;
        const running = await start(users, config);
        running.websocket({
          path: '/picky',
          accept: () => {
            throw new WaggleError('INVALID_REQUEST', { issues: ['never'] });
          },
          open: () => ({ message() {} }),
        });
        if (config.maxConnections) await connect(running, '/open');
        for (let count = 0; count < 5; count++) {
          const ws = new WebSocket(`ws://127.0.0.1:${running.port}${path}`, {
            headers: { 'x-api-key': 'bad' },
          });
          ws.on('error', () => {});
          ws.on('open', () => ws.terminate());
          await new Promise((resolve) => ws.on('close', resolve));
        }
        await expect.poll(() => running.audit.length).toBeGreaterThanOrEqual(5);
        expect((await call(running.port, { path: '/user', headers: as('ann') })).status).toBe(200);
      });

      it('that leaves while good credentials are judged is not opened, and not counted', async () => {
        const users = new TestUsers({ good: { id: 'ann', limits: { connectionsAtOnce: 1 } } });
        users.isSlow = true;
        const running = await start(users);
        const judged: Promise<unknown>[] = [];
        const authenticate = users.authenticate.bind(users);
        users.authenticate = (credentials) => {
          const answer = new Promise<Principal | undefined>((resolve) => {
            running.kernel.bus.on('connection:closed', () => resolve(authenticate(credentials)));
          });
          judged.push(answer);
          return answer;
        };
        const headers = { 'x-api-key': 'good' };
        for (let count = 0; count < 3; count++) (await connect(running, '/echo/a', headers)).ws.terminate();
        await expect.poll(() => running.transport.connections.open).toBe(0);
        expect(await Promise.all(judged)).toHaveLength(3);
        expect(running.sockets).toEqual([]);
        users.authenticate = authenticate;
        const client = await connect(running, '/echo/a', headers);
        client.send('hi');
        expect(await client.take(1)).toEqual(['ann: hi']);
      });

      it('is closed where it sends much before its user is known', async () => {
        const users = new TestUsers();
        users.isSlow = true;
        users.authenticate = () => new Promise(() => {});
        const running = await start(users);
        const client = await connect(running, '/echo/a', as('ann'));
        for (let count = 0; count < 100; count++) client.send('x');
        expect(await closedBy(client)).toBe(1008);
      });

      it('needs the scope of an endpoint for operators', async () => {
        const running = await start(new TestUsers());
        const client = await connect(running, '/operators');
        client.send(auth('ann'));
        expect(await closedBy(client)).toBe(4403);
        const root = await connect(running, '/operators');
        root.send(auth('root'));
        root.send('hi');
        expect((await root.take(2))[1]).toBe('hi');
      });

      it('needs nothing at a public endpoint', async () => {
        const running = await start(new TestUsers());
        const client = await connect(running, '/open');
        client.send('hi');
        expect(await client.take(1)).toEqual(['hi']);
      });

      it('takes newer credentials of the same user', async () => {
        const users = new TestUsers({
          first: { id: 'ann' },
          second: { id: 'ann', expiresAt: Date.now() + 60_000 },
        });
        const running = await start(users);
        await connect(running, '/echo/a', { 'x-api-key': 'first' });
        await expect.poll(() => running.sockets.length).toBe(1);
        const [socket] = running.sockets;
        expect(await socket?.authenticate?.('second')).toMatchObject({
          id: 'ann',
          expiresAt: expect.any(Number),
        });
        expect(socket?.principal?.expiresAt).toBeGreaterThan(Date.now());
      });

      it.each([
        ['another user', 'token-of-bob', 4403, 'FORBIDDEN'],
        ['nobody', 'nobody', 4401, 'UNAUTHORIZED'],
      ])('is closed by newer credentials of %s', async (_name, token, closeCode, code) => {
        const running = await start(new TestUsers());
        const client = await connect(running, '/echo/a', as('ann'));
        await expect.poll(() => running.sockets.length).toBe(1);
        await expect(running.sockets[0]?.authenticate?.(token)).rejects.toMatchObject({ code });
        expect(await closedBy(client)).toBe(closeCode);
      });

      it('is warned before its credentials end, and closed after it', async () => {
        const users = new TestUsers({ short: { id: 'ann', expiresAt: Date.now() + 500 } });
        const running = await start(users, { authTimeoutMs: 50 });
        const client = await connect(running, '/echo/a', { 'x-api-key': 'short' });
        expect(JSON.parse((await client.take(1))[0] as string)).toEqual({
          type: 'auth_expiring',
          expiresAt: expect.any(Number),
        });
        expect(await closedBy(client)).toBe(4401);
      });

      it('stays open with newer ones', async () => {
        const soon = Date.now() + 1200;
        const users = new TestUsers({
          short: { id: 'ann', expiresAt: soon },
          long: { id: 'ann', expiresAt: soon + 60_000 },
        });
        const running = await start(users, { authTimeoutMs: 50 });
        const client = await connect(running, '/echo/a', { 'x-api-key': 'short' });
        await client.take(1);
        await running.sockets[0]?.authenticate?.('long');
        await expect.poll(() => Date.now() > soon + 1500, { timeout: 5000 }).toBe(true);
        client.send('still here');
        expect((await client.take(2)).at(-1)).toMatch(/still here|auth_expiring/);
        expect(client.ws.readyState).toBe(WebSocket.OPEN);
      });

      it('and an open response are ended when their credentials are revoked; others go on', async () => {
        const users = new TestUsers();
        const running = await start(users);
        const started = deferred<void>();
        running.route({
          method: 'GET',
          path: '/endless',
          handler: async (_request, reply) => {
            const parts = (async function* () {
              yield 'first';
              started.resolve();
              await new Promise(() => {});
            })();
            await reply.stream(200, { 'content-type': 'text/plain' }, parts);
          },
        });
        const ann = await connect(running, '/echo/a', as('ann'));
        const bob = await connect(running, '/echo/b', as('bob'));
        const cut = fetch(`http://127.0.0.1:${running.port}/endless`, { headers: as('ann') }).then((answer) =>
          answer.text(),
        );
        await started.promise;
        const revoked = users.remove('token-of-ann');
        running.access.revoke((principal) => principal === revoked);
        await expect(cut).rejects.toThrow();
        expect(await closedBy(ann)).toBe(4401);
        bob.send('hi');
        expect(await bob.take(1)).toEqual(['bob: hi']);
        expect((await call(running.port, { path: '/user', headers: as('ann') })).status).toBe(401);
      });

      it('counts against the limit of its user', async () => {
        const limits = { connectionsAtOnce: 2 };
        const running = await start(new TestUsers({ a: { id: 'ann', limits }, b: { id: 'bob' } }));
        const key = { 'x-api-key': 'a' };
        const first = await connect(running, '/echo/1', key);
        await connect(running, '/echo/2', key);
        expect(await closedBy(await connect(running, '/echo/3', key))).toBe(1013);
        await connect(running, '/echo/4', { 'x-api-key': 'b' });
        first.ws.close();
        await first.closed;
        await expect.poll(() => running.transport.connections.open).toBe(2);
        const again = await connect(running, '/echo/5', key);
        again.send('x');
        expect(await again.take(1)).toEqual(['ann: x']);
      });

      it('counts against the limit of its address', async () => {
        const running = await start(undefined, { maxConnectionsPerAddress: 2 });
        await connect(running, '/open');
        const second = await connect(running, '/open');
        expect(await closedBy(await connect(running, '/open'))).toBe(1013);
        second.ws.close();
        await second.closed;
        await expect.poll(() => running.transport.connections.open).toBe(1);
        const third = await connect(running, '/open');
        third.send('x');
        expect(await third.take(1)).toEqual(['x']);
      });
    });

    it('refuses requests above a limit of their user, and no others', async () => {
      const counted: string[] = [];
      const limits = definePlugin({
        name: 'test-limits',
        apiVersion: 1,
        provides: [Limits],
        setup: (ctx) =>
          void ctx.provide(Limits, {
            of: ({ limits: own }) => own,
            request: ({ id, limits: own }) => {
              if (!own) return;
              if (counted.push(id) > 2)
                throw new WaggleError('RATE_LIMITED', { limit: 2, what: 'requests', retryAfterMs: 5000 });
            },
            reply: () => undefined,
            tokens: () => undefined,
            left: async () => ({}),
          }),
      });
      const running = await runTransport(plugin, {}, [limits]);
      open.push({ close: () => running.kernel.stop() });
      running.kernel
        .get(Access)
        .add(new TestUsers({ a: { id: 'ann', limits: { requestsPerMinute: 2 } }, b: { id: 'bob' } }));
      running.route({ method: 'GET', path: '/user', handler: (_request, reply) => reply.json(200, {}) });
      const ask = (key: string) => call(running.port, { path: '/user', headers: { 'x-api-key': key } });
      expect([(await ask('a')).status, (await ask('b')).status, (await ask('a')).status]).toEqual([
        200, 200, 200,
      ]);
      const refused = await ask('a');
      expect(refused.status).toBe(429);
      expect(refused.headers['retry-after']).toBe('5');
      expect(refused.json.error.code).toBe('RATE_LIMITED');
      expect(counted).toEqual(['ann', 'ann', 'ann']);
    });

    it('does not start on an address of the network where access is required and nothing decides it', async () => {
      const config = { host: '0.0.0.0', requireAccess: true };
      await expect(runTransport(plugin, config)).rejects.toMatchObject({
        cause: { code: 'ACCESS_REQUIRED' },
      });
      const running = await runTransport(plugin, { ...config, host: '127.0.0.1' });
      await running.kernel.stop();
      const declared = definePlugin({
        name: 'declares',
        apiVersion: 1,
        requires: { access: Access },
        setup: (_ctx, { access }) => void access.declareOpen(),
      });
      const open = await runTransport(plugin, config, [declared]);
      expect(open.log.filter(({ level }) => level === 'warn')).toEqual([]);
      await open.kernel.stop();
    });
  });
}

/** The close code of a WebSocket without credentials, or the status of its refusal. */
async function refusedOrWaiting(port: number, path: string): Promise<number> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  ws.on('error', () => {});
  await once(ws, 'open');
  ws.send('{"type":"ping"}');
  const [code] = await once(ws, 'close');
  return code;
}
