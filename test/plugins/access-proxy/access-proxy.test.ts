import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import accessKeys from '../../../plugins/access-keys/index.js';
import accessProxy from '../../../plugins/access-proxy/index.js';
import { runGuarded, transports } from '../../support/guarded.js';
import { rejection } from '../../support/kernel.js';
import { Client } from '../../support/transport.js';

const names = Object.keys(transports) as (keyof typeof transports)[];
const trusted = { trustedProxies: ['127.0.0.1/32'] };
const untrusted = { trustedProxies: ['10.0.0.0/8', 'fd00::/8'] };

describe.each(names)('access-proxy on transport-%s', (transport) => {
  it('takes user, address and scheme from a trusted proxy', async () => {
    const server = await runGuarded(transport, [[accessProxy, { ...trusted, scopes: ['admin'] }]]);
    const answer = await server.ask({
      'x-forwarded-user': 'ann',
      'x-forwarded-for': '192.0.2.7',
      'x-forwarded-proto': 'https',
    });
    expect(answer.json).toMatchObject({ id: 'ann', scopes: ['admin'], remoteAddress: '192.0.2.7' });
    expect(answer.json.origin).toMatch(/^https:/);
    const headers = { 'x-forwarded-user': 'bob' };
    const client = await Client.open(server.port, '/ws', { headers });
    client.send('hi');
    expect(await client.take(1)).toEqual(['bob: hi']);
    client.ws.terminate();
  });

  it('reads the header of its config, and no other', async () => {
    const server = await runGuarded(transport, [[accessProxy, { ...trusted, userHeader: 'X-Auth-User' }]]);
    expect((await server.ask({ 'x-auth-user': 'ann' })).json).toMatchObject({ id: 'ann', scopes: [] });
    expect((await server.ask({ 'x-forwarded-user': 'ann' })).status).toBe(401);
  });

  it('ignores a header that was forged at another address, and logs it once a minute', async () => {
    const server = await runGuarded(transport, [[accessProxy, untrusted]]);
    const forged = { 'x-forwarded-user': 'ann', 'x-forwarded-for': '10.0.0.1', forwarded: 'for=10.0.0.1' };
    for (let count = 0; count < 5; count++) expect((await server.ask(forged)).status).toBe(401);
    const logged = server.lines.filter(({ plugin, level }) => plugin === 'access-proxy' && level === 'warn');
    expect(logged).toMatchObject([{ address: '127.0.0.1' }]);
  });

  it.each([
    ['nothing', '', 'no user'],
    ['a placeholder of Caddy', '{http.reverse_proxy.header.X-Auth-Request-User}', 'no user'],
    ['what Apache sends for nothing', '(null)', 'no user'],
    ['two users', 'ann, bob', 'more than one'],
    ['too long a name', 'x'.repeat(129), '128'],
  ])('refuses a proxy that names %s', async (_, user, why) => {
    const server = await runGuarded(transport, [[accessProxy, trusted]]);
    const answer = await server.ask({ 'x-forwarded-user': user });
    expect([answer.status, answer.json.error.code]).toEqual([401, 'UNAUTHORIZED']);
    expect(answer.json.error.message).toContain(why);
  });

  it('leaves a request without the header, and a first frame, to the next plugin', async () => {
    const keys = [{ user: 'kim', sha256: createHash('sha256').update('ANN').digest('hex') }];
    const server = await runGuarded(transport, [
      [accessProxy, trusted],
      [accessKeys, { keys }],
    ]);
    expect((await server.askWith('ANN')).json).toMatchObject({ id: 'kim' });
    const client = await Client.open(server.port, '/ws');
    client.send('{"type":"auth","token":"ANN"}');
    expect(JSON.parse((await client.take(1))[0] as string)).toMatchObject({ type: 'auth_ok', userId: 'kim' });
    client.ws.terminate();
  });
});

it.each([
  ['no list', {}],
  ['an empty list', { trustedProxies: [] }],
  ['a name', { trustedProxies: ['proxy.example.com'] }],
])('needs trusted proxies: %s is a mistake in the config', async (_, config) => {
  expect((await rejection(runGuarded('node', [[accessProxy, config]]))).message).toContain('trustedProxies');
});
