import { ChatStreams, type Plugin, TaskEngine, Transport } from '#kernel';
import { Kernel } from '../../kernel/kernel.js';
import agentEliza from '../../plugins/agent-eliza/index.js';
import agentOllama from '../../plugins/agent-ollama/index.js';
import agentQueen from '../../plugins/agent-queen/index.js';
import endpointChat from '../../plugins/endpoint-chat/index.js';
import endpointCompletions from '../../plugins/endpoint-completions/index.js';
import endpointEmbeddings from '../../plugins/endpoint-embeddings/index.js';
import endpointHealth from '../../plugins/endpoint-health/index.js';
import endpointMessages from '../../plugins/endpoint-messages/index.js';
import endpointModels from '../../plugins/endpoint-models/index.js';
import endpointOllama from '../../plugins/endpoint-ollama/index.js';
import endpointResponses from '../../plugins/endpoint-responses/index.js';
import endpointTasks from '../../plugins/endpoint-tasks/index.js';
import endpointWs from '../../plugins/endpoint-ws/index.js';
import storeMemory from '../../plugins/store-memory/index.js';
import streamsMemory from '../../plugins/streams-memory/index.js';
import tasksTinypool from '../../plugins/tasks-tinypool/index.js';
import transportNode from '../../plugins/transport-node/index.js';
import transportUws from '../../plugins/transport-uws/index.js';
import type { FakeOllama } from './fake-ollama/index.js';
import { silentLogger } from './kernel.js';

const boundMs = 20_000;

export interface HiveOptions {
  readonly fake?: FakeOllama;
  readonly transport?: 'uws' | 'node';
  /** What remembers; `store-memory` when absent. */
  readonly store?: Plugin;
  /** What keeps the logs; `streams-memory` when absent. */
  readonly streams?: Plugin;
  /** Config of plugins by their name, of `transport` and of `store`. */
  readonly config?: Readonly<Record<string, object>>;
  readonly drainTimeoutMs?: number;
  /** What runs besides. */
  readonly plugins?: readonly Plugin[];
}

/** A whole server in this process, whose insides a test can see. */
export async function startHive(options: HiveOptions = {}) {
  const { fake, config = {}, drainTimeoutMs = 2000 } = options;
  const kernel = new Kernel({ logger: silentLogger, drainTimeoutMs });
  const transport = { host: '127.0.0.1', port: 0, ...config.transport };
  kernel.use(options.transport === 'node' ? transportNode : transportUws, { config: transport });
  kernel.use(options.store ?? storeMemory, { config: { ...config.store } });
  if (fake) kernel.use(agentOllama, { config: { baseUrl: fake.url, ...config['agent-ollama'] } });
  kernel.use(agentEliza, { config: { wordDelayMs: 1 } });
  kernel.use(tasksTinypool, { config: { workers: 0, ...config['tasks-tinypool'] } });
  kernel.use(agentQueen, { config: { ...config['agent-queen'] } });
  const streamsPlugin = options.streams ?? streamsMemory;
  kernel.use(streamsPlugin, { config: { ...config[streamsPlugin.name] } });
  kernel.use(endpointHealth).use(endpointChat, { config: { ...config['endpoint-chat'] } });
  kernel.use(endpointModels);
  kernel.use(endpointCompletions, { config: { ...config['endpoint-completions'] } });
  kernel.use(endpointResponses, { config: { ...config['endpoint-responses'] } });
  kernel.use(endpointMessages, { config: { ...config['endpoint-messages'] } });
  kernel.use(endpointEmbeddings, { config: { ...config['endpoint-embeddings'] } });
  kernel.use(endpointOllama, { config: { ...config['endpoint-ollama'] } });
  kernel.use(endpointTasks, { config: { ...config['endpoint-tasks'] } });
  kernel.use(endpointWs, { config: { ...config['endpoint-ws'] } });
  for (const plugin of options.plugins ?? []) {
    const theirs = config[plugin.name];
    kernel.use(plugin, theirs ? { config: theirs } : {});
  }
  await kernel.start();

  const wires = kernel.get(Transport);
  const streams = kernel.get(ChatStreams);
  const tasks = kernel.get(TaskEngine);
  const host = `127.0.0.1:${wires.address?.port}`;
  /** Everything that goes up while work is done and has to come down again. */
  const gauges = () => {
    const { running, waiting, readers } = streams.stats;
    const { running: runningTasks, waiting: waitingTasks } = tasks.stats;
    return { connections: wires.connections.open, running, waiting, readers, runningTasks, waitingTasks };
  };
  const before = gauges();
  return {
    kernel,
    streams,
    tasks,
    url: `http://${host}`,
    ws: `ws://${host}/ws`,
    gauges,
    settled,
    /** Stops it after a test: whatever was started has to have ended by itself. */
    async close(): Promise<void> {
      await settled();
      await kernel.stop();
    },
    stop: () => kernel.stop(),
  };

  /** Resolves when all gauges are back where they were, and no socket to the model is in use. */
  async function settled(): Promise<void> {
    const deadline = performance.now() + boundMs;
    const busy = () =>
      fake?.requests.filter((record) => record.atMs.requestReceived && !record.endedBy).length ?? 0;
    while (JSON.stringify(gauges()) !== JSON.stringify(before) || busy() > 0) {
      if (performance.now() > deadline)
        throw new Error(
          `not back after ${boundMs} ms: ${JSON.stringify({ ...gauges(), modelRequests: busy() })}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** What `startHive` gives. */
export type Hive = Awaited<ReturnType<typeof startHive>>;
