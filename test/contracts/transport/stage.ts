import { networkInterfaces } from 'node:os';
import { afterEach, expect } from 'vitest';
import type { TransportConfig } from '#sdk/http';
import type { Plugin } from '../../../kernel/index.js';
import { type RunningTransport, runTransport } from '../../support/transport.js';

/** Starts the transport under test. */
export type RunTransport = (config?: Partial<TransportConfig>) => Promise<RunningTransport>;

/** Starts transports, and stops them after each test. */
export function transportRunner(plugin: Plugin): RunTransport {
  const running: RunningTransport[] = [];
  afterEach(async () => {
    for (const server of running.splice(0)) {
      await server.kernel.stop();
      expectPairs(server);
    }
  });
  return async (config) => {
    const server = await runTransport(plugin, config);
    running.push(server);
    return server;
  };
}

/** Expects one event for the open of each connection, and then one for its close. */
function expectPairs({ told }: RunningTransport): void {
  const open = new Set<string>();
  const closed = new Set<string>();
  for (const { name, event } of told) {
    if (name === 'connection:refused') continue;
    const { connection } = event;
    expect([name, open.has(connection), closed.has(connection)]).toEqual(
      name === 'connection:opened' ? [name, false, false] : [name, true, false],
    );
    (name === 'connection:opened' ? open : closed).add(connection);
  }
  expect(closed).toEqual(open);
}

export const hasIPv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);
