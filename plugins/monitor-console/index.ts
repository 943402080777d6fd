import { ChatStreams, definePlugin, Overview, TaskEngine, Transport } from '#kernel';
import { EventLoopLag } from '#sdk';
import { config } from './config.js';
import { statsDocs } from './docs.js';
import { Screen } from './screen.js';
import { Sampler } from './stats.js';
import { tableOf } from './table.js';

export default definePlugin({
  name: 'monitor-console',
  apiVersion: 1,
  config,
  optional: { transport: Transport, streams: ChatStreams, tasks: TaskEngine, overview: Overview },
  setup(ctx, { overview, ...sources }) {
    const { transport } = sources;
    const { table, tableIntervalMs, intervalMs } = ctx.config;
    const eventLoop = new EventLoopLag();
    const sampler = new Sampler(sources, eventLoop);
    ctx.effect('event loop lag', () => eventLoop.start());
    transport?.route({
      method: 'GET',
      path: '/stats',
      access: 'admin',
      docs: statsDocs,
      handler: (_request, reply) => reply.json(200, sampler.stats),
    });
    overview?.add('stats', '/stats');

    ctx.onReady(() => {
      if (table === 'off' || (table === 'auto' && !isTerminal())) {
        ctx.every('stats', intervalMs, () => ctx.logger.info(sampler.sample(), 'stats'));
        return;
      }
      // A resize redraws these values and must not fail.
      let { stats } = sampler;
      const screen = new Screen(process.stdout, (width) => tableOf(stats, width));
      ctx.effect('table', () => screen.open());
      ctx.every('stats', tableIntervalMs, () => {
        stats = sampler.sample();
        screen.draw();
      });
    });
  },
});

function isTerminal(): boolean {
  return process.stdout.isTTY && process.env.TERM !== 'dumb';
}
