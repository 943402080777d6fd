import type { Files } from '../commands/new.js';

/** Files of a route that greets, with a test over a real socket. */
export function endpointFiles(name: string): Files {
  return {
    'index.ts': `import { definePlugin, Transport } from 'waggle-server';

export default definePlugin({
  name: '${name}',
  apiVersion: 1,
  requires: { transport: Transport },
  setup(_ctx, { transport }) {
    transport.route({
      method: 'GET',
      path: '/${name}/{who}',
      handler: (request, reply) => reply.json(200, { hello: request.params.who }),
    });
  },
});
`,
    'index.test.ts': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger, Kernel, Transport } from 'waggle-server';
import transport from 'waggle-server/plugins/transport-node';
import plugin from './index.js';

test('GET /${name}/{who} greets', async () => {
  await using kernel = new Kernel({ logger: createLogger('silent') });
  kernel.use(transport, { config: { host: '127.0.0.1', port: 0 } }).use(plugin);
  await kernel.start();
  const { port } = kernel.get(Transport).address ?? {};
  const response = await fetch(\`http://127.0.0.1:\${port}/${name}/bee\`);
  assert.deepEqual(await response.json(), { hello: 'bee' });
});
`,
  };
}
