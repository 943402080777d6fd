import { once } from 'node:events';
import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import accessProxy from '../../plugins/access-proxy/index.js';
import { runGuarded, transports } from '../support/guarded.js';
import { example } from '../support/pages.js';
import { startRecipe } from './recipe.js';

const names = Object.keys(transports) as (keyof typeof transports)[];

/** The service that signs users in: the cookie `who` names them. */
async function startSignIn(): Promise<number> {
  const server = createServer(({ headers }, response) => {
    const [, who] = /who=(\w+)/.exec(headers.cookie ?? '') ?? [];
    response.writeHead(who ? 202 : 401, who && who !== 'noname' ? { 'x-auth-request-user': who } : {}).end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const withUsers = (name: 'nginx' | 'caddy', recipe: string, signInPort: number) => {
  const at = (text: string) => text.replace('127.0.0.1:4180', `127.0.0.1:${signInPort}`);
  if (name === 'nginx')
    return recipe.replace(
      "proxy_set_header Forwarded '';",
      `proxy_set_header Forwarded '';\n${at(example('users.nginx.conf'))}`,
    );
  // The first line and the files of the certificate stay.
  const [, head = ''] = /^(.*\n.*\n)/.exec(recipe) ?? [];
  const [, port = ''] = /127\.0\.0\.1:(\d+)/.exec(recipe) ?? [];
  const [, ...rest] = example('users.Caddyfile').split('\n');
  return head + at(rest.join('\n')).replace('127.0.0.1:9797', `127.0.0.1:${port}`);
};

describe.each(['nginx', 'caddy'] as const)("README's %s with users", (name) => {
  it.each(names)('passes those on that have signed in, in front of transport-%s', async (transport) => {
    const server = await runGuarded(transport, [[accessProxy, { trustedProxies: ['127.0.0.1'] }]], {
      allowedHosts: ['localhost'],
    });
    const signInPort = await startSignIn();
    const front = await startRecipe(name, {
      port: server.port,
      below: '',
      change: (recipe) => withUsers(name, recipe, signInPort),
    });
    onTestFinished(() => front.proxy.close());
    const ask = async (headers: Record<string, string>) => {
      const outgoing = request(`${front.url}/who`, { headers, rejectUnauthorized: false, agent: false });
      outgoing.end();
      const [response] = await once(outgoing, 'response');
      let text = '';
      for await (const chunk of response) text += chunk;
      return { status: response.statusCode as number, text };
    };
    const forged = { 'x-forwarded-user': 'admin' };
    const known = await ask({ cookie: 'who=ann', ...forged });
    expect(JSON.parse(known.text)).toMatchObject({ id: 'ann', origin: `https://${front.host}` });
    expect((await ask({})).status).toBe(401);
    expect((await ask(forged)).status).toBe(401);
    // Signed in, and nameless.
    const nameless = await ask({ cookie: 'who=noname', ...forged });
    expect([nameless.status, nameless.text]).toEqual([401, expect.stringContaining('UNAUTHORIZED')]);
  });
});
