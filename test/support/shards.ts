import { eventually } from './eventually.js';
import { only, type RunningServer, type ServerOptions, startServer } from './server.js';
import { WsClient } from './ws-client.js';

/**
 * A plugin that says which shard a client is connected to, and crashes, or is stuck, where its config says so. Its agent
 * counts as far as it is told.
 */
export const mark = `
import { setTimeout as sleep } from 'node:timers/promises';
export default {
  name: 'mark',
  apiVersion: 1,
  optional: { shards: Symbol.for('waggle:shards') },
  setup(ctx, { shards }) {
    const { crashing, stuck } = ctx.config ?? {};
    ctx.bus.on('message:received', ({ clientId, type }) => {
      if (type === 'ping') ctx.logger.info({ clientId }, 'a client has come');
    });
    ctx.addAgent({
      name: 'counter',
      async *generateResponseStream({ messages }, { signal }) {
        const last = Number(messages.at(-1).content);
        for (let n = 1; n <= last; n++) {
          yield { type: 'text', content: n + ' ' };
          await sleep(20, undefined, { signal });
        }
        yield { type: 'done', reason: 'stop' };
      },
    });
    ctx.onReady(() => {
      if (shards && shards.index === crashing) setTimeout(() => process.kill(process.pid, 'SIGKILL'), 20);
    });
    ctx.onDrain(() => {
      while (stuck) {}
    });
  },
};`;

const parts = [
  ...['transport-uws', 'streams-memory', 'store-memory', 'tasks-tinypool', 'agent-queen'],
  ...['endpoint-ws', 'endpoint-chat', 'endpoint-health', 'endpoint-metrics', 'monitor-console', 'ui-web'],
];

export interface ShardOptions extends Omit<ServerOptions, 'config'> {
  readonly count: number | 'auto';
  readonly redis: string;
  readonly server?: object;
  readonly plugins?: Readonly<Record<string, object>>;
}

/** The config of a server with several processes. */
export function shardConfig({ count, server, plugins }: Omit<ShardOptions, 'redis'>): object {
  const redis = { url: '${REDIS_URL}' };
  return {
    server: { shards: count, ...server },
    plugins: {
      ...only(...parts),
      'cluster-redis': { config: redis },
      'streams-memory': { use: 'streams-redis', config: redis },
      'store-memory': { use: 'store-redis', config: redis },
      'tasks-tinypool': { use: 'tasks-bullmq', config: redis },
      'agent-queen': { config: { candidates: ['counter'] } },
      mark: { use: './mark.mjs' },
      ...plugins,
    },
  };
}

/** Options of a command for such a server, in a process of its own, because it has children. */
export function shardCommand(options: ShardOptions): ServerOptions {
  const { count: _, redis, server: __, plugins: ___, env, files, ...rest } = options;
  return {
    ...rest,
    alone: true,
    config: shardConfig(options),
    env: { REDIS_URL: redis, ...env },
    files: { 'mark.mjs': mark, ...files },
  };
}

/** A server with several processes, all of which have started. */
export class ShardedServer {
  readonly server: RunningServer;
  readonly count: number;
  readonly #clients: WsClient[] = [];
  #names = 0;

  private constructor(server: RunningServer, count: number) {
    this.server = server;
    this.count = count;
  }

  static async start(options: ShardOptions): Promise<ShardedServer> {
    return ShardedServer.of(await startServer(shardCommand(options)));
  }

  /** The same of one that starts. */
  static async of(server: RunningServer): Promise<ShardedServer> {
    const found = await server.untilLog(({ msg }) => msg === 'starting shards');
    const sharded = new ShardedServer(server, Number(found.shards));
    for (let index = 0; index < sharded.count; index++) await sharded.pidOf(index);
    return sharded;
  }

  /** The process of a shard, which is the `start`th one with its number. */
  async pidOf(index: number, start = 1): Promise<number> {
    const isStart = (line: { readonly msg: string; readonly shard?: unknown }) =>
      line.msg === 'a shard has started' && line.shard === index;
    await this.server.untilLog(() => this.server.logs.filter(isStart).length >= start);
    return this.server.logs.filter(isStart)[start - 1]?.pid as number;
  }

  /** A client, and the shard that it has come to. */
  async connect(): Promise<{ readonly client: WsClient; readonly shard: number }> {
    const clientId = `client-${++this.#names}`;
    const client = await WsClient.connect(`${this.server.ws}/${clientId}?user_id=ann`);
    this.#clients.push(client);
    client.send({ type: 'ping' });
    const come = await this.server.untilLog(
      (line) => line.msg === 'a client has come' && line.clientId === clientId,
    );
    return { client, shard: come.shard as number };
  }

  /** A client on one of these shards. The system decides where a connection goes: it takes some. */
  async connectTo(...shards: readonly number[]): Promise<WsClient> {
    for (let tries = 0; tries < 100; tries++) {
      const { client, shard } = await this.connect();
      if (shards.includes(shard)) return client;
    }
    throw new Error(`no connection of 100 has come to ${shards}`);
  }

  /** Stops it. @throws with what it has warned of, where it does not end well */
  async stop(): Promise<void> {
    const { server } = this;
    const code = await server.stop();
    const bad = server.logs.filter(({ level }) => level !== 'info' && level !== 'debug');
    if (code !== 0) throw new Error(`ended with ${code}: ${JSON.stringify(bad)} ${server.stderr}`);
  }

  /** Kills it, with its clients. */
  async end(): Promise<void> {
    for (const client of this.#clients) client.socket.terminate();
    this.server.signal('SIGKILL');
    await this.server.exited;
  }
}

/** Waits until a process is gone. */
export async function untilGone(pid: number): Promise<void> {
  await eventually(() => {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    throw new Error(`process ${pid} lives`);
  });
}
