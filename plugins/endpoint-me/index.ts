import { definePlugin, Limits, Overview, type Principal, Transport } from '#kernel';
import type { z } from '#zod';
import { type me, meDocs } from './docs.js';

/** Tells who the credentials are. */
export default definePlugin({
  name: 'endpoint-me',
  apiVersion: 1,
  requires: { transport: Transport },
  optional: { limits: Limits, overview: Overview },
  setup(_ctx, { transport, limits, overview }) {
    transport.route({
      method: 'GET',
      path: '/me',
      docs: meDocs,
      handler: async ({ principal }, reply) =>
        reply.json(200, await describe(principal, limits), { 'cache-control': 'no-store' }),
    });
    overview?.add('me', '/me');
  },
});

async function describe(
  principal: Principal | undefined,
  limits: Limits | undefined,
): Promise<z.infer<typeof me>> {
  const { id, scopes = [], expiresAt } = principal ?? {};
  return {
    user_id: id ?? null,
    scopes: [...scopes],
    ...(expiresAt !== undefined && { expires_at: expiresAt }),
    limits: principal ? { ...(await limits?.left(principal)) } : {},
  };
}
