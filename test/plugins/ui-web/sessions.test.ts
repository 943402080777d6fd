import { afterEach, describe, expect, it } from 'vitest';
import { Access, type AuditEntry, type Plugin } from '#kernel';
import endpointMe from '../../../plugins/endpoint-me/index.js';
import uiWeb from '../../../plugins/ui-web/index.js';
import { sessionValues } from '../../../plugins/ui-web/session-cookie.js';
import { SessionSeal } from '../../../plugins/ui-web/session-seal.js';
import { accessPlugin, as, TestUsers } from '../../support/access.js';
import { type Hive, startHive } from '../../support/hive.js';
import { type Answer, Client, call, refusedUpgrade } from '../../support/transport.js';

const hives: Hive[] = [];
afterEach(async () => {
  for (const hive of hives.splice(0)) await hive.stop();
});

interface Server {
  readonly hive: Hive;
  readonly port: number;
  readonly audit: readonly AuditEntry[];
  ask(path: string, headers?: Record<string, string>): Promise<Answer>;
  signIn(token: string, headers?: Record<string, string>): Promise<Answer>;
  signOut(headers?: Record<string, string>): Promise<Answer>;
}

interface Options {
  readonly users?: TestUsers | undefined;
  readonly config?: object;
  readonly transport?: 'uws' | 'node';
  readonly transportConfig?: object;
}

async function start({ users = new TestUsers(), ...more }: Options = {}): Promise<Server> {
  const { config = {}, transport = 'uws', transportConfig = {} } = more;
  return run([accessPlugin(users)], config, transport, transportConfig);
}

async function run(
  plugins: readonly Plugin[],
  config: object = {},
  transport: 'uws' | 'node' = 'uws',
  transportConfig: object = {},
): Promise<Server> {
  const hive = await startHive({
    transport,
    plugins: [...plugins, endpointMe],
    config: { transport: transportConfig },
  });
  hives.push(hive);
  await hive.kernel.load(uiWeb, { config });
  const port = Number(new URL(hive.url).port);
  const audit: AuditEntry[] = [];
  hive.kernel.bus.on('access:audited', (entry) => void audit.push(entry));
  const json = { 'content-type': 'application/json' };
  return {
    hive,
    port,
    audit,
    ask: (path, headers = {}) => call(port, { path, headers }),
    signIn: (token, headers = {}) =>
      call(port, {
        method: 'POST',
        path: '/ui/session',
        headers: { ...json, ...headers },
        body: JSON.stringify({ token }),
      }),
    signOut: (headers = {}) => call(port, { method: 'DELETE', path: '/ui/session', headers }),
  };
}

/** The cookie that an answer sets, as a browser sends it. */
function cookieOf({ headers }: Answer): string {
  return String(headers['set-cookie']).split(';')[0] as string;
}

async function userOf(server: Server, headers: Record<string, string>): Promise<string | undefined> {
  return (await server.ask('/me', headers)).json.user_id;
}

describe.each(['uws', 'node'] as const)('a session, over %s', (transport) => {
  it('stands for its token, in a cookie that no script can read and no other site sends', async () => {
    const server = await start({ transport });
    const answer = await server.signIn(' token-of-ann ');
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({ user_id: 'ann', expires_at: expect.any(Number) });
    expect(String(answer.headers['set-cookie'])).toMatch(
      new RegExp(
        `^waggle_session_${server.port}=[\\w-]+; Path=/; Max-Age=(43200|43199); HttpOnly; SameSite=Strict$`,
      ),
    );
    expect(`${answer.headers['set-cookie']}${answer.text}`).not.toContain('token-of');
    expect(answer.headers['cache-control']).toBe('no-store');
    const cookie = cookieOf(answer);
    expect(await userOf(server, { cookie })).toBe('ann');
    expect((await server.ask('/ui/state', { cookie })).status).toBe(403);
    const { port } = server;
    const client = await Client.open(port, '/ws/tab', { headers: { cookie } });
    client.send('{"type":"ping"}');
    expect(await client.take(1)).toEqual(['{"type":"pong"}']);
    client.ws.terminate();
    expect(server.audit).toMatchObject([
      { action: 'sign_in', userId: 'ann', remoteAddress: '127.0.0.1', requestId: expect.any(String) },
      { action: 'refused', userId: 'ann', what: 'GET /ui/state' },
    ]);
    expect(JSON.stringify(server.audit)).not.toContain('token-of');
  });

  it('is over after its sign-out, as are its connections and every copy of its cookie; others go on', async () => {
    const server = await start({ transport });
    const cookie = cookieOf(await server.signIn('token-of-ann'));
    const other = cookieOf(await server.signIn('token-of-ann'));
    const [mine, its] = [
      await Client.open(server.port, '/ws/1', { headers: { cookie } }),
      await Client.open(server.port, '/ws/2', { headers: { cookie: other } }),
    ];
    const out = await server.signOut({ cookie });
    expect(out.status).toBe(204);
    expect(String(out.headers['set-cookie'])).toMatch(/^waggle_session_\d+=; Path=\/; Max-Age=0; /);
    expect((await mine.closed).code).toBe(4401);
    expect(await userOf(server, { cookie })).toBeUndefined();
    expect(await userOf(server, { cookie: other })).toBe('ann');
    its.send('{"type":"ping"}');
    expect(await its.take(1)).toEqual(['{"type":"pong"}']);
    its.ws.terminate();
    expect(server.audit).toContainEqual(
      expect.objectContaining({ action: 'sign_out', userId: 'ann', remoteAddress: '127.0.0.1' }),
    );
    // Once more it is nothing, and no one is told of.
    expect((await server.signOut({ cookie })).status).toBe(204);
    expect(server.audit.filter(({ action }) => action === 'sign_out')).toHaveLength(1);
  });

  it('is refused as soon as its token is', async () => {
    const users = new TestUsers();
    const server = await start({ users, transport });
    const cookie = cookieOf(await server.signIn('token-of-ann'));
    const client = await Client.open(server.port, '/ws/1', { headers: { cookie } });
    const revoked = users.remove('token-of-ann');
    server.hive.kernel.get(Access).revoke((principal) => principal === revoked);
    expect((await client.closed).code).toBe(4401);
    expect((await server.ask('/me', { cookie })).status).toBe(401);
    expect((await server.signOut({ cookie })).status).toBe(204);
  });

  it('waits for a token that cannot be judged at once', async () => {
    const users = new TestUsers();
    const server = await start({ users, transport });
    users.isSlow = true;
    const cookie = cookieOf(await server.signIn('token-of-ann'));
    expect(await userOf(server, { cookie })).toBe('ann');
    users.remove('token-of-ann');
    expect((await server.ask('/me', { cookie })).status).toBe(401);
  });
});

describe('a session cookie', () => {
  it('never outlasts the credentials, nor twelve hours', async () => {
    const soon = Date.now() + 60_000;
    const server = await start({
      users: new TestUsers({ short: { id: 'ann', expiresAt: soon }, long: { id: 'bob', expiresAt: 1e15 } }),
    });
    const short = await server.signIn('short');
    expect(short.json.expires_at).toBe(soon);
    expect(Number(/Max-Age=(\d+)/.exec(String(short.headers['set-cookie']))?.[1])).toBeLessThanOrEqual(60);
    const long = await server.signIn('long');
    expect(long.json.expires_at).toBeLessThanOrEqual(Date.now() + 12 * 60 * 60 * 1000);
    expect((await server.ask('/me', { cookie: cookieOf(long) })).json.expires_at).toBe(long.json.expires_at);
  });

  it('is below the path of the server, and sent over TLS only where that is known', async () => {
    const server = await start({
      transportConfig: { basePath: '/waggle', trustedProxies: ['127.0.0.1'], allowedHosts: ['chat.example'] },
    });
    const behind = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'chat.example' };
    const answer = await server.signIn('token-of-ann', { ...behind, origin: 'https://chat.example' });
    expect(String(answer.headers['set-cookie'])).toMatch(
      /^waggle_session=[\w-]+; Path=\/waggle\/; Max-Age=\d+; HttpOnly; SameSite=Strict; Secure$/,
    );
  });

  it.each<[name: string, headers: Record<string, string>, status: number]>([
    ['of this server', { 'sec-fetch-site': 'same-origin' }, 200],
    ['that a person has typed', { 'sec-fetch-site': 'none' }, 200],
    ['of another site', { 'sec-fetch-site': 'cross-site' }, 401],
    ['of another port', { 'sec-fetch-site': 'same-site' }, 401],
    ['of another port, by an old browser', { origin: 'http://127.0.0.1:1' }, 401],
    ['of another name of this machine', { origin: 'http://localhost:1' }, 401],
    ['of another site, by an old browser', { origin: 'https://evil.test' }, 401],
    ['without an origin', { origin: 'null' }, 401],
  ])('counts by the page that sends it: one %s', async (_, headers, status) => {
    const server = await start();
    const cookie = cookieOf(await server.signIn('token-of-ann'));
    expect((await server.ask('/me', { cookie, ...headers })).status).toBe(status);
    const delivered = Client.open(server.port, '/ws/1', { headers: { cookie, ...headers } });
    if (status === 200) return void (await delivered).ws.terminate();
    await delivered.then(
      async (client) => {
        client.send('{"type":"ping"}');
        expect((await client.closed).code).toBe(4401);
      },
      (error: Error) => expect(error.message).toMatch(/40[13]/),
    );
  });

  it.each([
    ['is empty', () => ''],
    ['is no base64', () => '%%%'],
    ['is short', () => 'AAAA'],
    ['is another', () => 'A'.repeat(120)],
    ['is huge', () => 'A'.repeat(10_000)],
    [
      'has one bit changed',
      (value: string) => `${value.slice(0, 30)}${value[30] === 'A' ? 'B' : 'A'}${value.slice(31)}`,
    ],
    ['is cut', (value: string) => value.slice(0, -4)],
    [
      'has the seal of another server',
      () => new SessionSeal('').seal({ id: 'a', token: 'token-of-ann', expiresAt: 1e15 }),
    ],
  ])('that %s is none', async (_, change) => {
    const server = await start();
    const [name, value] = cookieOf(await server.signIn('token-of-ann')).split('=') as [string, string];
    const headers = { cookie: `${name}=${change(value)}` };
    expect((await server.ask('/me', headers)).status).toBe(401);
    expect((await server.signOut(headers)).status).toBe(204);
    // Beside a good one it does no harm.
    expect(await userOf(server, { cookie: `a=b; ${headers.cookie}; ${name}=${value}` })).toBe('ann');
  });

  it('has no say where a token is sent as well', async () => {
    const server = await start();
    const cookie = cookieOf(await server.signIn('token-of-ann'));
    expect(await userOf(server, { cookie, ...as('bob') })).toBe('bob');
    expect((await server.ask('/me', { cookie, authorization: 'Bearer wrong' })).status).toBe(401);
    expect(await refusedUpgrade(server.port, '/ws/1', { headers: { cookie, 'x-api-key': 'wrong' } })).toEqual(
      {
        status: 401,
        code: 'UNAUTHORIZED',
      },
    );
  });

  it.each([
    ['with the same secret', 'x'.repeat(32), 'x'.repeat(32), 'ann'],
    ['with another one', 'x'.repeat(32), 'y'.repeat(32), undefined],
    ['without one', '', '', undefined],
  ])('after a restart %s', async (_, before, after, user) => {
    const first = await start({ config: { sessionSecret: before } });
    const cookie = cookieOf(await first.signIn('token-of-ann'));
    await first.hive.stop();
    hives.splice(0);
    const second = await start({ config: { sessionSecret: after } });
    expect(await userOf(second, { cookie })).toBe(user);
  });

  it('is none once it is too old, and each one differs', async () => {
    const seal = new SessionSeal('x'.repeat(32));
    const session = { id: 'a', token: 't', expiresAt: Date.now() + 60_000 };
    expect(seal.open(seal.seal(session))).toEqual(session);
    expect(seal.open(seal.seal({ ...session, expiresAt: Date.now() }))).toBeUndefined();
    const soon = seal.seal({ ...session, expiresAt: Date.now() + 50 });
    expect(seal.open(soon)).toMatchObject({ id: 'a' });
    await expect.poll(() => seal.open(soon)).toBeUndefined();
    expect(seal.seal(session)).not.toBe(seal.seal(session));
  });

  it('is opened rightly, however many there are', () => {
    const seal = new SessionSeal('');
    const values = Array.from({ length: 2500 }, (_, index) =>
      seal.seal({ id: String(index), token: 't', expiresAt: 1e15 }),
    );
    for (const time of [1, 2])
      for (const [index, value] of values.entries())
        expect(seal.open(value)?.id, `${time}`).toBe(String(index));
  });

  it.each([
    ['waggle_session=a', ['a']],
    ['x=y; waggle_session_9797=a; waggle_session=b', ['a', 'b']],
    ['x=y, waggle_session_9797=a', ['a']],
    ['xwaggle_session=a; waggle_sessions=b; waggle_session_=c; waggle_session_x=d', []],
    ['waggle_session="a"; waggle_session=a b; waggle_session=', []],
    ['waggle_session=a; '.repeat(100), ['a', 'a', 'a', 'a']],
  ])('is found in a header: %j', (header, values) => {
    expect(sessionValues(header)).toEqual(values);
  });

  it('needs a secret that cannot be guessed', async () => {
    await expect(start({ config: { sessionSecret: 'short' } })).rejects.toThrow(/at least 32 characters/);
  });
});

describe('a sign-in', () => {
  it.each<[name: string, body: string, headers: Record<string, string>, status: number, why: string]>([
    ['with a wrong token', '{"token":"wrong-token"}', {}, 401, 'UNAUTHORIZED: these are unknown'],
    ['without one', '{}', {}, 400, 'INVALID_REQUEST'],
    ['with an empty one', '{"token":" "}', {}, 400, 'INVALID_REQUEST'],
    ['with one too long for a cookie', `{"token":"${'x'.repeat(3000)}"}`, {}, 400, 'INVALID_REQUEST'],
    [
      'as a form',
      'token=token-of-ann',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    [
      'as plain text',
      '{"token":"token-of-ann"}',
      { 'content-type': 'text/plain' },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['by another port', '{"token":"token-of-ann"}', { origin: 'http://127.0.0.1:1' }, 403, 'FORBIDDEN'],
    ['by localhost', '{"token":"token-of-ann"}', { origin: 'http://localhost:1' }, 403, 'FORBIDDEN'],
    ['by another site', '{"token":"token-of-ann"}', { 'sec-fetch-site': 'cross-site' }, 403, 'FORBIDDEN'],
  ])('%s is refused, and told of without the token', async (_, body, headers, status, why) => {
    const server = await start();
    const answer = await call(server.port, {
      method: 'POST',
      path: '/ui/session',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    expect(answer.status).toBe(status);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(answer.text).not.toMatch(/wrong-token|token-of-ann|xxx/);
    expect(server.audit).toMatchObject([{ action: 'refused', what: 'POST /ui/session' }]);
    expect(server.audit[0]?.why).toContain(why);
    expect(JSON.stringify(server.audit)).not.toMatch(/wrong-token|token-of-ann|xxx/);
  });

  it('by another site signs nobody out, either', async () => {
    const server = await start();
    const cookie = cookieOf(await server.signIn('token-of-ann'));
    expect((await server.signOut({ cookie, origin: 'http://127.0.0.1:1' })).status).toBe(403);
    expect((await server.signOut({ cookie, 'sec-fetch-site': 'same-site' })).status).toBe(403);
    expect(await userOf(server, { cookie })).toBe('ann');
  });

  it('has no use in an open server, which stays open', async () => {
    const server = await run([]);
    expect((await server.signIn('token-of-ann')).status).toBe(401);
    expect((await server.ask('/me')).json.user_id).toBeNull();
    expect((await server.ask('/ui/inspector')).status).toBe(200);
  });
});

describe('the inspector of a closed server', () => {
  it.each([
    ['no credentials', {}, 401, 'Sign in first'],
    ['those of a user', as('ann'), 403, 'This page is for operators'],
  ])('answers %s with a page that leads to the sign-in', async (_, headers, status, title) => {
    const server = await start({ transportConfig: { basePath: '/waggle' } });
    const page = await server.ask('/ui/inspector', { ...headers, accept: 'text/html,*/*;q=0.8' });
    expect(page.status).toBe(status);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    expect(page.text).toContain(`<h1>${title}</h1>`);
    expect(page.text).toContain('href="/waggle/ui"');
    const other = await server.ask('/ui/inspector', headers);
    expect([other.status, other.json.error.code]).toEqual([
      status,
      status === 401 ? 'UNAUTHORIZED' : 'FORBIDDEN',
    ]);
  });

  it('is open to operators', async () => {
    const server = await start();
    const cookie = cookieOf(await server.signIn('token-of-root'));
    for (const path of ['/ui/inspector', '/ui/state'])
      expect((await server.ask(path, { cookie })).status).toBe(200);
    // The pages of the chat need nobody.
    for (const path of ['/ui', '/ui/']) expect((await server.ask(path)).status).toBe(200);
  });
});
