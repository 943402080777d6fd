import { type Access, type ChatStreams, type Route, type Shards, WaggleError } from '#kernel';
import { expectValid } from '#sdk';
import type { z } from '#zod';
import { stateOfAll, streamsOfShards } from './all-shards.js';
import { cancelDocs, cancelParams, type cancelResponse, stateDocs } from './docs.js';
import { type Inspected, inspection } from './inspection.js';

const headers = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

/** `GET /ui/state` */
export function stateRoute(inspected: Inspected, shards: Shards | undefined): Route {
  shards?.answer('ui state', () => inspection(inspected));
  return {
    ...{ method: 'GET', path: '/ui/state', access: 'admin', docs: stateDocs },
    handler: async (_request, reply) => {
      const own = inspection(inspected);
      reply.json(200, shards ? stateOfAll(await shards.ask('ui state'), own) : own, headers);
    },
  };
}

/** `DELETE /ui/replies/{number}`: the id of a stream would give more than the right to end it. */
export function cancelRoute(
  { history }: Inspected,
  streams: Pick<ChatStreams, 'find'>,
  access: Pick<Access, 'audit'> | undefined,
  shards: Shards | undefined,
): Route {
  const ofShards = shards && streamsOfShards(shards, (number) => history.streamOf(number));
  return {
    ...{ method: 'DELETE', path: '/ui/replies/{number}', access: 'admin', docs: cancelDocs },
    handler: async (request, reply) => {
      const { number } = await expectValid(cancelParams, request.params);
      const streamId = await (ofShards ? ofShards(Number(number)) : history.streamOf(Number(number)));
      const running = streamId === undefined ? undefined : await streams.find(streamId);
      const receipt = await running?.cancel('client');
      if (!receipt || !running) throw new WaggleError('STREAM_UNKNOWN', { streamId: number });
      access?.audit({
        action: 'admin',
        what: `cancel reply ${running.streamId.slice(0, 6)} of ${running.userId}`,
        userId: request.principal?.id,
        remoteAddress: request.remoteAddress,
        requestId: request.id,
      });
      reply.json(200, { cancelled: true, ...receipt } satisfies z.infer<typeof cancelResponse>, headers);
    },
  };
}
