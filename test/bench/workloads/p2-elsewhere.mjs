import { node, socketIo, waggle } from '../rig/contender.mjs';
import { perToken } from '../rig/streaming.mjs';
import { elsewhereRound } from '../rig/two-nodes.mjs';

const beatsPerSecond = 50;
const commands = ['redis-server', 'redis-cli'];
const shared = (contender, more) => ({ ...contender, commands, ...more });
const rooms = (name, adapter, ADAPTER) =>
  shared(node(name, 'socketio-rooms.mjs', ['socket.io', 'redis', adapter], socketIo), { env: { ADAPTER } });

const ours = 'waggle';
const local = 'waggle, one server';
const streams = 'socket.io + streams adapter';
const late = (percentile, plus) => ({
  text: `${percentile} of the delay: at most ${plus} ms more than on one server`,
  ...{ ours, theirs: local, metric: `late ${percentile} ms`, factor: 1, plus },
});

export default {
  id: 'P2',
  title: 'Two servers: 200 answers of 50 tokens a second on one, each read on the other',
  unit: 'µs CPU of both per token',
  reference: local,
  ours,
  contenders: [
    shared(waggle(ours), { ours: true }),
    shared(waggle(local), { isAlone: true }),
    rooms(streams, '@socket.io/redis-streams-adapter', 'streams'),
    rooms('socket.io + redis adapter', '@socket.io/redis-adapter', 'channels'),
    shared(
      node('resumable-stream', 'resumable-fastify.mjs', [
        'fastify',
        '@fastify/websocket',
        'redis',
        'resumable-stream',
      ]),
    ),
    shared(node('a script per token', 'eval-per-token.mjs', ['ws', 'redis'])),
  ],
  gates: [
    { text: 'at most 2 times one server', ours, theirs: local, factor: 2 },
    { text: `at most half of ${streams}`, ours, theirs: streams, factor: 0.5 },
    late('p50', 1),
    late('p99', 5),
  ],
  notes: [
    'Both servers share one core, Redis and the clients have the other; whoever asked has left, so that each token is delivered once, and only there.',
    '"A script per token" is what many have built: one EVAL with INCR, XADD and PUBLISH for each token, for which the agent waits.',
  ],
  async measure(contender, { quick }) {
    const seconds = quick ? 2 : 10;
    const holdMs = quick ? 1500 : 3000;
    const { window, lateUs } = await elsewhereRound(contender, {
      ...{ connections: 200, holdMs, ms: seconds * 1000 },
      tokens: (seconds + 2) * beatsPerSecond,
      few: beatsPerSecond * (quick ? 1 : 3),
    });
    const metrics = {
      ...perToken(window),
      'late p50 ms': lateUs.p50 / 1000,
      'late p99 ms': lateUs.p99 / 1000,
    };
    return { metrics, window };
  },
};
