import type {
  Access,
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

/** The sources of the inspector's data. */
export interface Inspected {
  inspect(): KernelReport;
  readonly transport: Pick<Transport, 'connections' | 'endpoints' | 'openAt'>;
  readonly access: Pick<Access, 'isRequired'> | undefined;
  readonly streams: Pick<ChatStreams, 'stats' | 'list'> | undefined;
  readonly engine: Pick<TaskEngine, 'stats' | 'countsOf'> | undefined;
  readonly tasks: ReadonlyRegistry<TaskDefinition>;
  readonly history: ReplyHistory;
  readonly sampler: Sampler;
  readonly startedAtMs: number;
}

/** The response of `GET /ui/state`: no secrets, and no text by plugin authors other than names. */
export function inspection(inspected: Inspected) {
  const { transport, access, streams, engine, tasks, history, sampler, startedAtMs } = inspected;
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
    ...(streams && { streams: streamsOf(streams, history, access?.isRequired ?? false) }),
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

/** In an open server the name of a user gives access to the conversations of the user, and is left out. */
function streamsOf(streams: Pick<ChatStreams, 'stats' | 'list'>, history: ReplyHistory, showsUsers: boolean) {
  const { running, waiting, kept, readers, tokens } = streams.stats;
  const byId = new Map(streams.list().map((reply) => [reply.streamId, reply]));
  const replies = history.replies((streamId) => byId.get(streamId)?.progress, showsUsers);
  return { running, waiting, kept, readers, tokens, ended: history.ended, replies };
}

function queueOf({ submitted: _, workers: __, ...queue }: TaskEngine['stats']) {
  return queue;
}

function taskOf({ name, lane }: TaskDefinition, counts: TaskCounts | undefined) {
  return { name, lane, ...(counts && { counts }) };
}
