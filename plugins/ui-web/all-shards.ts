import type { ShardAnswer, Shards } from '#kernel';
import { sumFigures } from '#sdk';
import type { PluginView, ReplyView, Sample } from './docs.js';
import type { inspection } from './inspection.js';

type State = ReturnType<typeof inspection>;

/** The states of all shards as that of one server. `own` is that of the shard that is asked. */
export function stateOfAll(answers: readonly ShardAnswer[], own: State) {
  const given = answers.flatMap(({ shard, body }) => (body ? [{ shard, state: body as State }] : []));
  const states = given.length > 0 ? given.map(({ state }) => state) : [own];
  const [first, ...others] = states as [State, ...State[]];
  const sum = sumFigures([first, ...others]);
  const { streams, tasks } = sum;
  return {
    ...sum,
    server: {
      ...sum.server,
      state: states.map(({ server }) => server.state).find(isWorse) ?? sum.server.state,
    },
    plugins: first.plugins.map((plugin) => worst(plugin, others)),
    ...(streams && {
      streams: {
        ...streams,
        replies: inOrder(
          given.flatMap(({ shard, state }) =>
            (state.streams?.replies ?? []).map((reply) => ({
              ...reply,
              // With the shard in it, so that it names one reply of all.
              number: reply.number * answers.length + shard,
            })),
          ),
        ),
      },
    }),
    ...(tasks && { tasks: tasks.map((task) => summed(task, others)) }),
    samples: samplesOf(states),
    shards: answers.map(({ shard, body }) => {
      const state = body as State | undefined;
      return { shard, ...(state && { server: state.server, connections: state.connections.open }) };
    }),
  };
}

const isWorse = (state: string): boolean => state !== 'ready';

function worst(plugin: PluginView, others: readonly State[]): PluginView {
  const all = others.flatMap(({ plugins }) => plugins.filter(({ id }) => id === plugin.id));
  return [plugin, ...all].find(({ state }) => state !== 'active') ?? plugin;
}

/** Running ones first, as from one process. */
function inOrder(replies: readonly ReplyView[]): readonly ReplyView[] {
  const running = replies.filter(({ state }) => state === 'running');
  return [...running, ...replies.filter(({ state }) => state !== 'running')];
}

function summed(task: NonNullable<State['tasks']>[number], others: readonly State[]) {
  const same = others.flatMap(({ tasks = [] }) => tasks.filter(({ name }) => name === task.name));
  return sumFigures([task, ...same]);
}

/** Of the last seconds, one beside the other. */
function samplesOf(states: readonly State[]): readonly Sample[] {
  const length = Math.max(...states.map(({ samples }) => samples.length));
  return Array.from({ length }, (_, place) => {
    const beside = states.flatMap(({ samples }) => samples.at(place - length) ?? []);
    return sumFigures(beside as [Sample, ...Sample[]]);
  });
}

/** The streams of all shards by the numbers that their replies have in `stateOfAll`. */
export function streamsOfShards(shards: Shards, streamOf: (number: number) => string | undefined) {
  const { index, count } = shards;
  const topic = 'ui stream';
  shards.answer(topic, (number) =>
    Number(number) % count === index ? streamOf(Math.floor(Number(number) / count)) : undefined,
  );
  return async (number: number): Promise<string | undefined> => {
    const { body } = (await shards.ask(topic, number))[number % count] ?? {};
    return typeof body === 'string' ? body : undefined;
  };
}
