import { definePlugin, Transport } from '#kernel';
import type { z } from '#zod';
import { config } from './config.js';
import { listDocs, type webhookList } from './docs.js';
import { Endpoint } from './endpoint.js';
import { type EventName, WebhookEvents } from './webhook-events.js';

/** Within what a plugin may take to stop. */
const stopMs = 5000;
const sayDroppedEveryMs = 60_000;

export default definePlugin({
  name: 'notify-webhook',
  apiVersion: 1,
  config,
  optional: { transport: Transport },
  setup(ctx, { transport }) {
    const { endpoints: settings, ...limits } = ctx.config;
    const endpoints = Object.entries(settings).map(
      ([name, each]) => new Endpoint(name, each, limits, ctx.logger),
    );
    ctx.effect('deliveries of webhooks', () => async () => {
      await Promise.all(endpoints.map((endpoint) => endpoint.stop(stopMs)));
    });
    if (endpoints.length === 0) ctx.logger.warn('webhooks have no endpoints');
    const isWanted = (type: EventName) => endpoints.some((endpoint) => endpoint.wants(type));
    new WebhookEvents().listen(ctx.bus, isWanted, (told) => {
      for (const endpoint of endpoints) if (endpoint.wants(told.type)) endpoint.send(told);
    });
    ctx.every('dropped webhooks', sayDroppedEveryMs, () => {
      for (const endpoint of endpoints) endpoint.sayDropped();
    });
    transport?.route({
      method: 'GET',
      path: '/webhooks',
      access: 'admin',
      docs: listDocs,
      handler: (_request, reply) => {
        const list = endpoints.map(({ name, counts, deadLetters }) => ({ name, ...counts, deadLetters }));
        reply.json(200, { endpoints: list } satisfies z.infer<typeof webhookList>, {
          'cache-control': 'no-store',
        });
      },
    });
  },
});
