import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import plugin from '../../../plugins/transport-node/index.js';
import { targetsContract } from '../../contracts/targets.contract.js';
import { call, type RunningTransport, runTransport } from '../../support/transport.js';

targetsContract('transport-node', plugin);

// uWebSockets refuses them before any of our code sees them.
describe('transport-node: the absolute form', () => {
  let server: RunningTransport;
  beforeAll(async () => {
    server = await runTransport(plugin, { allowedHosts: ['chat.example.com'] });
    for (const path of ['/', '/x'])
      server.route({
        method: 'GET',
        path,
        handler: ({ origin, query }, reply) => reply.json(200, `${origin}${path}?${query}`),
      });
  });
  afterAll(() => server.kernel.stop());

  it.each([
    ['http://localhost/x', 200, 'http://localhost/x?'],
    ['HTTP://localhost:9797//x/?a=1', 200, 'http://localhost:9797/x?a=1'],
    ['https://chat.example.com/x', 200, 'http://chat.example.com/x?'],
    ['http://localhost', 200, 'http://localhost/?'],
    ['http://localhost?a=1', 200, 'http://localhost/?a=1'],
    ['http://evil.test/x', 421],
    ['http://localhost@evil.test/x', 400],
    ['http:///x', 404],
    ['ftp://localhost/x', 404],
  ])('%s', async (path, status, body?: string) => {
    const answer = await call(server.port, { path, headers: { host: 'localhost' } });
    expect(answer.status).toBe(status);
    if (body) expect(answer.json).toBe(body);
  });
});
