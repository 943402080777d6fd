import type {
  ChatStreams,
  KernelReport,
  ReadonlyRegistry,
  TaskCounts,
  TaskDefinition,
  TaskEngine,
  Transport,
} from '#kernel';
import { memoryNow, version } from '#sdk';
import { viewOf } from './registrations.js';
import type { ReplyHistory } from './reply-history.js';
import type { Sampler } from './sampler.js';

export interface Inspected {
  inspect(): KernelReport;
  readonly transport: Pick<Transport, 'connections' | 'endpoints' | 'openAt'>;
  readonly streams: Pick<ChatStreams, 'stats'> | undefined;
  readonly engine: Pick<TaskEngine, 'stats' | 'countsOf'> | undefined;
  readonly tasks: ReadonlyRegistry<TaskDefinition>;
  readonly history: ReplyHistory;
  readonly sampler: Sampler;
  readonly startedAtMs: number;
}

/** The response of `GET /ui/state`: no secrets, and no text by plugin authors other than names. */
export function inspection(inspected: Inspected) {
  const { transport, streams, engine, tasks, history, sampler, startedAtMs } = inspected;
  const { state, plugins } = inspected.inspect();
  const { rssBytes, heapBytes } = memoryNow();
  return {
    server: {
      version,
      state,
      uptimeMs: Math.round(performance.now() - startedAtMs),
      rssBytes,
      heapBytes,
    },
    plugins: plugins.map(viewOf),
    connections: { ...transport.connections, paths: pathsOf(transport), ...history.connections },
    ...(streams && { streams: streamsOf(streams.stats, history) }),
    ...(engine && {
      queue: queueOf(engine.stats),
      workers: engine.stats.workers,
      tasks: [...tasks].map((task) => taskOf(task, engine.countsOf(task.name))),
    }),
    samples: sampler.look(),
  };
}

/** Open WebSockets by endpoint path. */
function pathsOf(transport: Inspected['transport']) {
  return Object.fromEntries(transport.endpoints.map((each) => [each.path, transport.openAt(each)]));
}

function streamsOf({ running, waiting, kept, readers, tokens }: ChatStreams['stats'], history: ReplyHistory) {
  return { running, waiting, kept, readers, tokens, ended: history.ended, replies: history.replies };
}

function queueOf({ submitted: _, workers: __, ...queue }: TaskEngine['stats']) {
  return queue;
}

function taskOf({ name, lane }: TaskDefinition, counts: TaskCounts | undefined) {
  return { name, lane, ...(counts && { counts }) };
}
