import { onTestFinished } from 'vitest';
import type { TransportConfig } from '#sdk/http';
import { definePlugin, type Plugin, Transport } from '../../kernel/index.js';
import { Kernel } from '../../kernel/kernel.js';
import transportNode from '../../plugins/transport-node/index.js';
import transportUws from '../../plugins/transport-uws/index.js';
import { type LogLine, recordingLogger } from './kernel.js';
import { type Answer, call } from './transport.js';

export const transports = { uws: transportUws, node: transportNode } as const;

/** A server with access plugins, and one route that tells who asked. */
export interface GuardedServer {
  readonly kernel: Kernel;
  readonly port: number;
  readonly lines: readonly LogLine[];
  /** `GET /who`. */
  ask(headers?: Readonly<Record<string, string>>): Promise<Answer>;
  askWith(token: string): Promise<Answer>;
  /** Resolves with the first log line that matches, now or later. */
  untilLog(matches: (line: LogLine) => boolean): Promise<LogLine>;
}

/** Starts a server with access plugins and their configs, in this order; it stops with the test. */
export async function runGuarded(
  transport: keyof typeof transports,
  access: readonly (readonly [Plugin, object])[],
  config: Partial<TransportConfig> = {},
): Promise<GuardedServer> {
  const { logger, lines } = recordingLogger();
  const kernel = new Kernel({ logger, drainTimeoutMs: 1000 });
  kernel.use(transports[transport], { config: { host: '127.0.0.1', port: 0, ...config } });
  for (const [plugin, its] of access) kernel.use(plugin, { config: its });
  const who = definePlugin({
    name: 'who',
    apiVersion: 1,
    requires: { transport: Transport },
    setup(_, { transport: wires }) {
      wires.route({
        method: 'GET',
        path: '/who',
        handler: ({ principal, origin, remoteAddress }, reply) =>
          reply.json(200, { ...principal, origin, remoteAddress }),
      });
      wires.websocket({
        path: '/ws',
        open: (socket) => ({ message: (text) => void socket.send(`${socket.principal?.id}: ${text}`) }),
      });
    },
  });
  kernel.use(who);
  onTestFinished(() => kernel.stop());
  await kernel.start();
  const port = kernel.get(Transport).address?.port as number;
  const ask: GuardedServer['ask'] = (headers = {}) => call(port, { path: '/who', headers });
  return {
    kernel,
    port,
    lines,
    ask,
    askWith: (token) => ask({ authorization: `Bearer ${token}` }),
    async untilLog(matches) {
      for (;;) {
        const found = lines.find(matches);
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}
