import { ChatStreams, definePlugin, Overview, Shards, TaskEngine, Transport } from '#kernel';
import { EventLoopLag } from '#sdk';
import { statsOfAll } from './all-shards.js';
import { config } from './config.js';
import { statsDocs } from './docs.js';
import { Screen } from './screen.js';
import { Sampler } from './stats.js';
import { tableOf } from './table.js';

export default definePlugin({
  name: 'monitor-console',
  apiVersion: 1,
  config,
  optional: {
    ...{ transport: Transport, streams: ChatStreams, tasks: TaskEngine, shards: Shards, overview: Overview },
  },
  setup(ctx, { overview, shards, ...sources }) {
    const { transport } = sources;
    const { table, tableIntervalMs, intervalMs } = ctx.config;
    const eventLoop = new EventLoopLag();
    const sampler = new Sampler(sources, eventLoop);
    ctx.effect('event loop lag', () => eventLoop.start());
    shards?.answer('stats', () => sampler.stats);
    transport?.route({
      method: 'GET',
      path: '/stats',
      access: 'admin',
      docs: statsDocs,
      handler: async (_request, reply) => {
        const { stats } = sampler;
        reply.json(200, shards ? statsOfAll(await shards.ask('stats'), stats) : stats);
      },
    });
    overview?.add('stats', '/stats');

    ctx.onReady(() => {
      // One terminal has no room for the tables of several processes.
      if (shards || table === 'off' || (table === 'auto' && !isTerminal())) {
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
