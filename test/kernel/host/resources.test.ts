import { createServer, type Server } from 'node:net';
import { expect, it } from 'vitest';
import { ResourceLedger } from '../../../kernel/host/resources.js';
import { plugin, startKernel } from '../../support/kernel.js';

it('names a plugin that left a timer running, and none that cleared its own', async () => {
  const timers: NodeJS.Timeout[] = [];
  const ledger = new ResourceLedger();
  const kernel = await startKernel(
    [
      plugin('tidy', {
        setup(ctx) {
          ctx.effect('timer', () => {
            const timer = setInterval(() => {}, 60_000);
            return () => clearInterval(timer);
          });
        },
      }),
      plugin('leaky', {
        setup() {
          // Several, because the test runner starts and ends timers of its own.
          for (let count = 0; count < 5; count++) timers.push(setInterval(() => {}, 60_000));
        },
      }),
    ],
    { onPhase: ledger.onPhase },
  );
  await kernel.stop();
  const left = ledger.leftTimers();
  for (const timer of timers) clearInterval(timer);
  expect(left.map(([name]) => name)).toEqual(['leaky']);
  expect(kernel.leftBehind).toEqual([]);
});

it.each(['setup', 'onReady'] as const)(
  'names the plugin that opened a handle in %s, until it closes',
  async (when) => {
    const kind = 'TCPServerWrap';
    const ledger = new ResourceLedger();
    const servers: Server[] = [];
    const open = (): Server => {
      const server = createServer().listen(0, '127.0.0.1');
      servers.push(server);
      return server;
    };
    const opens = (name: string, closes: boolean) =>
      plugin(name, {
        setup(ctx) {
          const start = () => {
            const server = open();
            if (closes) ctx.effect('server', () => () => new Promise((done) => server.close(() => done())));
          };
          if (when === 'setup') start();
          else ctx.onReady(start);
        },
      });
    const kernel = await startKernel([opens('tidy', true), opens('leaky', false), plugin('none')], {
      onPhase: ledger.onPhase,
    });
    expect(ledger.openersOf(kind)).toEqual(['tidy', 'leaky']);
    await kernel.stop();
    expect(ledger.openersOf(kind)).toEqual(['leaky']);
    for (const server of servers) server.close();
  },
);
