import type { Chat, Cluster, EventBus } from '#kernel';
import { type RedisConfig, RedisLink } from '#sdk/redis';
import {
  type ClusterTimes,
  clusterTimes,
  type RedisCluster,
} from '../../plugins/cluster-redis/redis-cluster.js';
import { config as streamsConfig } from '../../plugins/streams-redis/config.js';
import { RedisStreams } from '../../plugins/streams-redis/redis-streams.js';
import { type RemoteTimes, remoteTimes } from '../../plugins/streams-redis/remote-replies.js';
import type { StreamLimits } from '../contracts/chat-streams.contract.js';
import { createEngine } from '../support/engine.js';
import { silentLogger } from '../support/kernel.js';
import { later, startNode } from './node.js';

/** A node and its connection to the logs. */
export interface StreamsNode {
  readonly cluster: RedisCluster;
  readonly link: RedisLink;
  readonly config: Partial<RedisConfig>;
  /** Streams on this node, which share its connections with others. */
  streams(chat: Chat, limits: StreamLimits & { readonly flushMs?: number }, bus: EventBus): RedisStreams;
}

/** Bounds in which a node is soon lost that is cut off, and none that is only busy. */
export const lossTimes: ClusterTimes = {
  ...clusterTimes,
  link: { connectMs: 2000, pingMs: 300, silentPings: 3, backOffMs: 100, firstMs: 5000 },
  leaseMs: 2500,
  beatMs: 250,
  graceMs: 3000,
};

export interface StreamsNodeOptions {
  readonly times?: ClusterTimes;
  readonly remote?: Partial<RemoteTimes>;
  /** What its streams get in place of the cluster. */
  readonly around?: (cluster: RedisCluster) => Cluster;
}

/** A node that has joined, and leaves with `endAll`; its streams are closed before that. */
export async function startStreamsNode(
  config: Partial<RedisConfig>,
  { times = clusterTimes, remote = {}, around = (cluster) => cluster }: StreamsNodeOptions = {},
): Promise<StreamsNode> {
  const cluster = await startNode({ config, times });
  const all: RedisStreams[] = [];
  const link = new RedisLink({
    config: streamsConfig.parse(config),
    name: 'streams',
    logger: silentLogger,
    times: times.link,
    onUp: (isFirst) => {
      if (!isFirst) for (const streams of all) void streams.compare();
    },
  });
  await link.start();
  later(() => link.close());
  return {
    cluster,
    link,
    config,
    streams(chat, limits, bus) {
      const { engine, tasks } = createEngine({ workers: 0 });
      const settings = streamsConfig.parse({ ...config, ...limits });
      const streams = new RedisStreams(
        { chat, tasks: engine, cluster: around(cluster), link, bus, logger: silentLogger },
        settings,
        { ...remoteTimes, ...remote },
      );
      tasks.add(streams.task, 'test');
      all.push(streams);
      later(() => streams.close());
      return streams;
    },
  };
}
