import { once } from 'node:events';
import { request } from 'node:https';
import { describe, expect, it } from 'vitest';
import { makeCertificate } from '../support/certificate.js';
import { inSeconds, makeToken, rs256, rsaPair, startIssuer } from '../support/jwt.js';
import { example, pageText } from '../support/pages.js';
import { runWaggle, startServer } from '../support/server.js';

const page = pageText('config/README.md');

describe('the pages about access', () => {
  it.each([
    'access-keys.yaml',
    'access-jwt.yaml',
    'access-proxy.yaml',
    'access-open.yaml',
    'by-keys.yaml',
    'by-tokens.yaml',
    'by-proxy.yaml',
    'tls.yaml',
  ])('show a config that is good: %s', async (name) => {
    const run = await runWaggle('check', { config: example(name) });
    expect(run.stderr + (await run.exited)).toBe('0');
  });

  it('show a key that is made, a config that takes it, and a call with it', async () => {
    const [, user = ''] = /`waggle key new (\w+) --file keys\.yaml`/.exec(page) ?? [];
    const { path, key, text } = await madeKey(user);
    const server = await startServer({ config: example('by-keys.yaml'), files: { [path]: text } });
    const [, name = '', value = '', route = ''] =
      /^curl -H '(\w+): (.*)' http:\/\/localhost:9797(\S+)$/m.exec(page) ?? [];
    const answer = await fetch(server.url + route, { headers: { [name]: value.replace('wk_…', key) } });
    expect([answer.status, await answer.json()]).toEqual([
      200,
      expect.objectContaining({ user_id: 'alice' }),
    ]);
    expect((await fetch(server.url + route)).status).toBe(401);
    expect(await server.stop()).toBe(0);
  });

  it('show all that an entry of a key may have', async () => {
    const server = await startServer({
      config: example('access-keys.yaml'),
      files: { 'keys.yaml': '' },
    });
    // The example has the SHA-256 of this one.
    const headers = { 'x-api-key': 'wk_example' };
    const me = await (await fetch(`${server.url}/me`, { headers })).json();
    expect(me).toMatchObject({ user_id: 'alice', scopes: ['admin', 'act-as'] });
    expect((await fetch(`${server.url}/metrics`, { headers })).status).toBe(200);
    expect(await server.stop()).toBe(0);
  });

  it.each(['by-tokens.yaml', 'access-jwt.yaml'])(
    'show how tokens of an issuer are taken: %s',
    async (name) => {
      const pair = rsaPair('one');
      const issuer = await startIssuer([pair.jwk]);
      const [, url = ''] = /jwksUrl: (\S+)/.exec(example(name)) ?? [];
      const server = await startServer({ config: example(name).replace(url, issuer.url) });
      const claims = { iss: 'https://id.example.com/', aud: 'waggle', sub: 'ann', exp: inSeconds(60) };
      const ask = async (more: object) => {
        const token = makeToken({ alg: 'RS256', kid: 'one' }, { ...claims, ...more }, rs256(pair.privateKey));
        return (await fetch(`${server.url}/me`, { headers: { authorization: `Bearer ${token}` } })).status;
      };
      expect(await Promise.all([ask({}), ask({ aud: 'other' }), ask({ exp: inSeconds(-5) })])).toEqual([
        200, 401, 401,
      ]);
      expect(await server.stop()).toBe(0);
    },
  );

  it('show how a proxy names users', async () => {
    const server = await startServer({ config: example('by-proxy.yaml') });
    const answer = await fetch(`${server.url}/me`, { headers: { 'x-forwarded-user': 'ann' } });
    expect(await answer.json()).toMatchObject({ user_id: 'ann' });
    expect((await fetch(`${server.url}/me`)).status).toBe(401);
    expect(await server.stop()).toBe(0);
  });

  it('show how to serve https', async () => {
    const { cert, key } = makeCertificate('here');
    const server = await startServer({
      config: example('tls.yaml'),
      files: { 'tls.crt': cert, 'tls.key': key },
    });
    const outgoing = request({
      host: '127.0.0.1',
      port: server.port,
      path: '/health',
      ca: cert,
      agent: false,
    });
    outgoing.end();
    const [response] = await once(outgoing, 'response');
    response.resume();
    expect(response.statusCode).toBe(200);
    expect(await server.stop()).toBe(0);
  });
});

async function madeKey(user: string) {
  const run = await runWaggle('key', { args: ['new', user] });
  expect(await run.exited).toBe(0);
  const [key = ''] = /^wk_\S+$/m.exec(run.stdout) ?? [];
  const [text = ''] = /^- .*$/m.exec(run.stdout) ?? [];
  return { path: 'keys.yaml', key, text };
}
