import { variant, waggle } from '../rig/contender.mjs';
import { ahead, atMost } from '../rig/gates.mjs';
import { push } from '../rig/servers.mjs';
import { perToken, streamingRound } from '../rig/streaming.mjs';
import { wholeRound } from '../rig/whole-round.mjs';

const beatsPerSecond = 50;
const ours = { ...waggle(), ours: true };
const whole = 'whole answers';
const { uwsLimit, uwsNaive, ws, socketIo, fastify, fastapi } = push;

export default {
  id: 'W2',
  title: 'Paced: 500 connections, 50 tokens a second each',
  unit: 'µs CPU per token',
  reference: 'uws-limit',
  references: ['uws-limit', 'uws-naive', `uws-limit, ${whole}`],
  ours: 'waggle',
  contenders: [
    ...[ours, uwsLimit, uwsNaive, ws, socketIo, fastify, fastapi],
    ...[ours, uwsLimit, ws, socketIo, fastify, fastapi].map((each) =>
      variant(each, whole, { isWhole: true, reference: uwsLimit.name }),
    ),
  ],
  gates: [
    atMost(1.15, uwsLimit),
    ...[ws, socketIo, fastapi].map((each) => ahead(each)),
    ...[ws, socketIo, fastify, fastapi].map((each) => ahead(each, whole)),
    {
      text: 'no gap above 200 ms',
      ours: 'waggle',
      theirs: 'uws-limit',
      metric: 'longest gap ms',
      factor: 0,
      plus: 200,
    },
  ],
  notes: [
    'The kernel of the operating system takes the same 6 µs for either server. What Waggle adds is memory: with 500 streams, whatever a token touches has left the caches by its next turn, and each cold line costs more than the work that is done on it.',
    'What helped, in this order: text that every reader has is joined outside the heap, so that tokens die young (garbage collection fell from 10 % to 3 %); no look at AbortSignal.aborted for each token (3 %: its objects have many shapes); the answer is kept in one place, not also by the Queen; methods of the reply in place of closures for each stream.',
    'Tried, and dropped: a young generation of 2 or 8 MB in place of 32 (9 % garbage collection in place of 3 %), and joining each piece by itself in place of four at a time (one more visit to a cold line).',
    'Of three rounds one was at 1.03 times the limit, one at 1.32, one at 1.82, while the limit stayed within one percent; ws, Fastify and FastAPI scatter as well, by 20 percent and more. Why was not measured.',
    'uws-naive does without the list and the cork of uws-limit, and is no slower where each turn has one frame for a socket.',
  ],
  async measure({ isWhole, ...contender }, { quick }) {
    if (isWhole) return wholeRound(contender, { connections: 500, tokens: 50, seconds: 3, quick });
    const seconds = quick ? 1 : 10;
    // Slow servers fall behind the beat, and some take longer to begin.
    const tokens = Math.round((seconds + 1) * beatsPerSecond);
    const few = beatsPerSecond * (quick ? 0.4 : 2);
    const { window, late } = await streamingRound(contender, {
      connections: 500,
      exact: { question: 'burst 1 2000 500', tokens: 2000, on: 4 },
      warmUp: { question: 'burst 1 500 20', tokens: 500, on: 100 },
      within: { question: `paced ${tokens}`, tokens, ms: seconds * 1000 },
      stamped: { question: `stamped ${few}`, tokens: few },
    });
    const metrics = {
      ...perToken(window),
      'late p50 ms': late.lateUs.p50 / 1000,
      'late p99 ms': late.lateUs.p99 / 1000,
      'late p99.9 ms': late.lateUs.p999 / 1000,
      'first token p99 ms': late.firstUs.p99 / 1000,
      'longest gap ms': late.gapUs.max / 1000,
    };
    return { metrics, window };
  },
};
