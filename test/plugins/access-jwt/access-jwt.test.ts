import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import accessJwt from '../../../plugins/access-jwt/index.js';
import accessKeys from '../../../plugins/access-keys/index.js';
import { type GuardedServer, runGuarded, transports } from '../../support/guarded.js';
import {
  es256,
  hs256,
  inSeconds,
  makeToken,
  rs256,
  rsaPair,
  startIssuer,
  unsigned,
} from '../../support/jwt.js';
import { rejection } from '../../support/kernel.js';
import { Client } from '../../support/transport.js';

const names = Object.keys(transports) as (keyof typeof transports)[];
const secret = 'a secret of at least thirty-two bytes';
const pair = rsaPair('one');
const strange = rsaPair('one');
const expected = { issuer: 'https://id.example/', audience: 'waggle' };
const claims = (more: object = {}) => ({
  iss: expected.issuer,
  aud: expected.audience,
  sub: 'ann',
  exp: inSeconds(60),
  ...more,
});
const rs = { alg: 'RS256', kid: 'one' };
const good = (more: object = {}, header: object = rs) =>
  makeToken(header, claims(more), rs256(pair.privateKey));

const statusAndCode = async (server: GuardedServer, token: string) => {
  const { status, headers, json } = await server.askWith(token);
  return {
    status,
    code: json.error?.code,
    challenge: headers['www-authenticate'],
    message: json.error?.message,
  };
};

/** Tokens that must not be taken, by what is wrong with them. */
const attacks: readonly (readonly [string, () => string, RegExp])[] = [
  ['alg "none"', () => makeToken({ alg: 'none' }, claims(), unsigned), /no key fits|algorithm/],
  ['alg "None"', () => makeToken({ alg: 'None', kid: 'one' }, claims(), unsigned), /no key fits|algorithm/],
  ['no alg', () => makeToken({ kid: 'one' }, claims(), unsigned), /cannot be read/],
  [
    'the public key as a secret',
    () => makeToken({ alg: 'HS256', kid: 'one' }, claims(), hs256(pair.pem)),
    /no key/,
  ],
  [
    'the modulus as a secret',
    () =>
      makeToken(
        { alg: 'HS256', kid: 'one' },
        claims(),
        hs256(Buffer.from(pair.jwk.n as string, 'base64url')),
      ),
    /no key/,
  ],
  [
    'the signature of another key',
    () => makeToken(rs, claims(), rs256(strange.privateKey)),
    /signature is wrong/,
  ],
  ['no signature', () => makeToken(rs, claims(), unsigned), /signature|cannot be read/],
  [
    'claims that were changed',
    () => {
      const [head, , tail] = good().split('.');
      return [head, Buffer.from(JSON.stringify(claims({ sub: 'bob' }))).toString('base64url'), tail].join(
        '.',
      );
    },
    /signature is wrong/,
  ],
  ['another audience', () => good({ aud: 'other' }), /another audience/],
  ['no audience', () => good({ aud: undefined }), /another audience/],
  ['another issuer', () => good({ iss: 'https://evil.example/' }), /unknown/],
  ['no issuer', () => good({ iss: undefined }), /another issuer/],
  ['an expiry in the past', () => good({ exp: inSeconds(-2) }), /it has expired/],
  ['a start in the future', () => good({ nbf: inSeconds(60) }), /not valid yet/],
  ['no expiry', () => good({ exp: undefined }), /never expires/],
  ['an unknown kid', () => good({}, { alg: 'RS256', kid: 'two' }), /no key fits/],
  ['an empty kid', () => good({}, { alg: 'RS256', kid: '' }), /no key fits/],
  ['a kid that is a path', () => good({}, { alg: 'RS256', kid: '../../../dev/null' }), /no key fits/],
  ['a kid that is no text', () => good({}, { alg: 'RS256', kid: ['one'] }), /no key fits/],
  ['a critical extension', () => good({}, { ...rs, crit: ['x'], x: true }), /cannot be read/],
  [
    'a key of its own',
    () => makeToken({ alg: 'RS256', jwk: strange.jwk }, claims(), rs256(strange.privateKey)),
    /signature is wrong/,
  ],
  [
    'a key set of its own',
    () => makeToken({ ...rs, jku: 'http://127.0.0.1:9/jwks' }, claims(), rs256(strange.privateKey)),
    /signature is wrong/,
  ],
  ['an encoding of its own', () => good({}, { ...rs, b64: false, crit: ['b64'] }), /cannot be read/],
  ['more than 8 KiB', () => good({ padding: 'x'.repeat(6500) }), /longer than/],
  ['a user that is a number', () => good({ sub: 7 }), /"sub"/],
  ['a user that is a list', () => good({ sub: ['ann'] }), /"sub"/],
  ['an empty user', () => good({ sub: '' }), /"sub" names no user/],
  ['no user', () => good({ sub: undefined }), /"sub" names no user/],
  ['too long a user', () => good({ sub: 'x'.repeat(129) }), /128/],
  ['scopes that are a number', () => good({ scope: 1 }), /"scope"/],
  ['scopes that are a map', () => good({ scope: { admin: true } }), /"scope"/],
  ['scopes with a number', () => good({ scope: ['admin', 1] }), /"scope"/],
  ['an expiry that is text', () => good({ exp: '9999999999' }), /"exp"/],
  ['a start that is text', () => good({ nbf: 'x' }), /"nbf"/],
  ['an audience that is a map', () => good({ aud: { waggle: true } }), /audience/],
  ['claims that are a list', () => makeToken(rs, [claims()], rs256(pair.privateKey)), /unknown/],
];

describe.each(names)('access-jwt on transport-%s', (transport) => {
  it('refuses every token of the table, and tells nothing of it', async () => {
    const issuer = await startIssuer([pair.jwk]);
    const server = await runGuarded(transport, [[accessJwt, { jwksUrl: issuer.url, ...expected }]]);
    expect((await server.askWith(good())).json).toMatchObject({ id: 'ann' });
    for (const [what, token, why] of attacks) {
      const answer = await statusAndCode(server, token());
      expect(answer, what).toEqual({
        status: 401,
        code: 'UNAUTHORIZED',
        challenge: expect.stringMatching(/^Bearer/),
        message: expect.stringMatching(why),
      });
      expect(answer.message, what).not.toMatch(/eyJ|\b(ann|bob)\b/);
    }
    expect(issuer.requests).toBeLessThanOrEqual(2);
    expect(JSON.stringify(server.lines)).not.toContain('eyJ');
  });

  it('knows the user, the scopes and the end of a token, for a socket as well', async () => {
    const server = await runGuarded(transport, [[accessJwt, { secret, ...expected }]]);
    const exp = inSeconds(60);
    const token = makeToken({ alg: 'HS256' }, claims({ exp, scope: 'admin  chat' }), hs256(secret));
    expect((await server.askWith(token)).json).toMatchObject({
      id: 'ann',
      scopes: ['admin', 'chat'],
      expiresAt: exp * 1000,
    });
    const client = await Client.open(server.port, '/ws', { headers: { authorization: `Bearer ${token}` } });
    client.send('hi');
    expect(await client.take(1)).toEqual(['ann: hi']);
    client.ws.terminate();
    const later = await Client.open(server.port, '/ws');
    later.send(JSON.stringify({ type: 'auth', token }));
    expect(JSON.parse((await later.take(1))[0] as string)).toMatchObject({
      type: 'auth_ok',
      expiresAt: exp * 1000,
    });
    later.ws.terminate();
  });

  it('closes a socket whose token is refused after its upgrade', async () => {
    const server = await runGuarded(transport, [[accessJwt, { secret, ...expected }]]);
    const token = makeToken({ alg: 'HS256' }, claims(), hs256('another secret'));
    const client = await Client.open(server.port, '/ws', { headers: { authorization: `Bearer ${token}` } });
    expect(await client.closed).toMatchObject({ code: 4401 });
  });

  it('refuses bad tokens in about the time of an unknown key', async () => {
    const keys = [{ user: 'kim', sha256: 'a'.repeat(64) }];
    const config = { publicKey: pair.pem, ...expected };
    const server = await runGuarded(transport, [
      [accessKeys, { keys }],
      [accessJwt, config],
    ]);
    // The best of some: others use the machine as well. One that took long is asked more often.
    const timeOf = async (token: () => string, least: number, enoughMs = 0) => {
      let bestMs = Number.POSITIVE_INFINITY;
      for (let count = 0; count < least || (count < 200 && bestMs >= enoughMs); count++) {
        const made = token();
        const begun = performance.now();
        await server.askWith(made);
        bestMs = Math.min(bestMs, performance.now() - begun);
      }
      return bestMs;
    };
    const plain = await timeOf(() => 'wk_unknown', 30);
    const costs: Record<string, number> = {};
    for (const [what, token] of attacks) costs[what] = (await timeOf(token, 3, 20 * plain)) / plain;
    expect(Math.max(...Object.values(costs)), JSON.stringify(costs)).toBeLessThan(20);
  });
});

describe('the ways to a key', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ecPem = String(ec.publicKey.export({ type: 'spki', format: 'pem' }));
  const ecJwk = JSON.stringify(ec.publicKey.export({ format: 'jwk' }));
  it.each([
    ['an RSA key in PEM', { publicKey: pair.pem }, () => good()],
    [
      'an EC key in PEM',
      { publicKey: ecPem },
      () => makeToken({ alg: 'ES256' }, claims(), es256(ec.privateKey)),
    ],
    ['a JWK', { publicKey: ecJwk }, () => makeToken({ alg: 'ES256' }, claims(), es256(ec.privateKey))],
    ['a secret', { secret }, () => makeToken({ alg: 'HS256' }, claims(), hs256(secret))],
    [
      'a list of audiences',
      { secret, audience: ['a', 'waggle'] },
      () => makeToken({ alg: 'HS256' }, claims(), hs256(secret)),
    ],
    [
      'other claims',
      { secret, userClaim: 'email', scopesClaim: 'roles' },
      () => makeToken({ alg: 'HS256' }, claims({ email: 'ann', roles: ['a'], sub: 1 }), hs256(secret)),
    ],
    [
      'a tolerance',
      { secret, clockToleranceS: 30 },
      () => makeToken({ alg: 'HS256' }, claims({ exp: inSeconds(-5), nbf: inSeconds(5) }), hs256(secret)),
    ],
  ])('include %s', async (_, config, token) => {
    const server = await runGuarded('node', [[accessJwt, { ...expected, ...config }]]);
    // The second one is judged by what is remembered of the first.
    for (let count = 0; count < 2; count++)
      expect((await server.askWith(token())).json).toMatchObject({ id: 'ann' });
  });

  it('takes no token by a secret that is signed for a public key, and none by a public key that is for a secret', async () => {
    const bySecret = await runGuarded('node', [[accessJwt, { secret, ...expected }]]);
    expect((await bySecret.askWith(good())).status).toBe(401);
    const byKey = await runGuarded('node', [[accessJwt, { publicKey: pair.pem, ...expected }]]);
    expect((await byKey.askWith(makeToken({ alg: 'HS256' }, claims(), hs256(pair.pem)))).status).toBe(401);
    expect((await byKey.askWith(good())).status).toBe(200);
  });

  it.each([
    ['none of them', {}, 'exactly one of'],
    ['two of them', { secret, publicKey: pair.pem }, 'exactly one of'],
    ['a short secret', { secret: 'hunter2' }, '32 bytes'],
    [
      'a private key',
      { publicKey: String(pair.privateKey.export({ type: 'pkcs8', format: 'pem' })) },
      'private key',
    ],
    ['a secret as a JWK', { publicKey: '{"kty":"oct","k":"AAAA"}' }, 'a secret, not a public key'],
    ['text that is no key', { publicKey: 'hello' }, 'PEM or JWK'],
    ['a URL of a file', { jwksUrl: 'file:///etc/passwd' }, 'http or https'],
  ])('do not include %s', async (_, config, why) => {
    const { message } = await rejection(runGuarded('node', [[accessJwt, config]]));
    expect(message).toContain(why);
    expect(message).not.toMatch(/hunter2|BEGIN/);
  });

  it('leave what is no JWT, and a JWT of another issuer, to the next plugin', async () => {
    const one = { secret, issuer: 'one', audience: 'waggle' };
    const two = { secret: `${secret}, another`, issuer: 'two', audience: 'waggle' };
    const server = await runGuarded('node', [
      [accessJwt, one],
      [{ ...accessJwt, name: 'access-jwt-two' }, two],
    ]);
    const token = (iss: string, key: string) => makeToken({ alg: 'HS256' }, claims({ iss }), hs256(key));
    expect((await server.askWith(token('one', one.secret))).status).toBe(200);
    expect((await server.askWith(token('two', two.secret))).status).toBe(200);
    expect((await server.askWith(token('two', one.secret))).status).toBe(401);
    for (const text of ['wk_key', 'a.b.c', 'a.b', '..', 'eyJ.eyJ.x'])
      expect((await statusAndCode(server, text)).message).toContain('unknown');
  });
});

describe('the set of keys', () => {
  it('is asked for at most once more by a flood of unknown key ids', async () => {
    const issuer = await startIssuer([pair.jwk]);
    const server = await runGuarded('node', [[accessJwt, { jwksUrl: issuer.url, ...expected }]]);
    const tokens = Array.from({ length: 500 }, (_, index) => good({}, { alg: 'RS256', kid: `k${index}` }));
    const answers = await Promise.all(tokens.map((token) => server.askWith(token)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    expect(issuer.requests).toBeLessThanOrEqual(2);
  });

  it('takes a key that came later, by the first token that names it', async () => {
    const issuer = await startIssuer([pair.jwk]);
    const server = await runGuarded('node', [[accessJwt, { jwksUrl: issuer.url, ...expected }]]);
    expect((await server.askWith(good())).status).toBe(200);
    const next = rsaPair('next');
    issuer.keys = [pair.jwk, next.jwk];
    const token = makeToken({ alg: 'RS256', kid: 'next' }, claims(), rs256(next.privateKey));
    expect((await server.askWith(token)).status).toBe(200);
  });

  it.each([
    ['is away', (issuer: Issuer) => issuer.close()],
    ['fails', (issuer: Issuer) => Object.assign(issuer, { status: 500 })],
    ['sends no keys', (issuer: Issuer) => Object.assign(issuer, { keys: [] })],
    [
      'sends too much',
      (issuer: Issuer) => Object.assign(issuer, { body: `{"keys":[]${' '.repeat(300_000)}}` }),
    ],
    ['sends no JSON', (issuer: Issuer) => Object.assign(issuer, { body: '<html>' })],
  ])('lets those with known keys in while its server %s', async (_, spoil) => {
    const issuer = await startIssuer([pair.jwk]);
    const server = await runGuarded('node', [[accessJwt, { jwksUrl: issuer.url, ...expected }]]);
    expect((await server.askWith(good())).status).toBe(200);
    spoil(issuer);
    expect((await server.askWith(good({}, { alg: 'RS256', kid: 'new' }))).status).toBe(401);
    await server.untilLog(({ msg }) => msg.includes('cannot be fetched'));
    expect((await server.askWith(good({ sub: 'bob' }))).json).toMatchObject({ id: 'bob' });
  });

  it('is fetched later where its server is away at the start', async () => {
    const issuer = await startIssuer([pair.jwk]);
    issuer.status = 503;
    const server = await runGuarded('node', [[accessJwt, { jwksUrl: issuer.url, ...expected }]]);
    await server.untilLog(({ msg }) => msg.includes('cannot be fetched'));
    issuer.status = 200;
    expect((await server.askWith(good())).status).toBe(200);
  });

  it('is replaced in the background, and with a key that is gone its users and their sockets go', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const other = rsaPair('other');
      const issuer = await startIssuer([pair.jwk, other.jwk]);
      const server = await runGuarded('node', [[accessJwt, { jwksUrl: issuer.url, ...expected }]]);
      const kept = makeToken({ alg: 'RS256', kid: 'other' }, claims({ sub: 'kim' }), rs256(other.privateKey));
      const lost = good();
      for (const token of [kept, lost]) expect((await server.askWith(token)).status).toBe(200);
      const open = (token: string) =>
        Client.open(server.port, '/ws', { headers: { authorization: `Bearer ${token}` } });
      const [keeps, loses] = await Promise.all([open(kept), open(lost)]);
      issuer.keys = [other.jwk];
      await vi.advanceTimersByTimeAsync(600_000);
      expect(await loses.closed).toMatchObject({ code: 4401 });
      expect((await server.askWith(lost)).status).toBe(401);
      expect((await server.askWith(kept)).status).toBe(200);
      keeps.send('hi');
      expect(await keeps.take(1)).toEqual(['kim: hi']);
      keeps.ws.terminate();
    } finally {
      vi.useRealTimers();
    }
  });

  it('has no use for keys that encrypt, and for secrets', async () => {
    const encrypting = { ...pair.jwk, use: 'enc' };
    const shared = { kty: 'oct', k: Buffer.from(secret).toString('base64url'), kid: 'shared' };
    const issuer = await startIssuer([encrypting, shared, null, 7, { kty: 'RSA' }, rsaPair('x').jwk]);
    const server = await runGuarded('node', [[accessJwt, { jwksUrl: issuer.url, ...expected }]]);
    expect((await server.askWith(good())).status).toBe(401);
    const token = makeToken({ alg: 'HS256', kid: 'shared' }, claims(), hs256(secret));
    expect((await server.askWith(token)).status).toBe(401);
  });
});

type Issuer = Awaited<ReturnType<typeof startIssuer>>;
