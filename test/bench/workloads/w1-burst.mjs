import { variant, waggle } from '../rig/contender.mjs';
import { push } from '../rig/servers.mjs';
import { perToken, streamingRound } from '../rig/streaming.mjs';

/** Tokens between two turns of the event loop, so that sockets are written while an answer is being made. */
const perTurn = 512;

const loops = { arrays: 32, single: 1 };
const both = (contender) => Object.entries(loops).map(([loop, size]) => variant(contender, loop, { size }));

export default {
  id: 'W1',
  title: 'Burst: 200 connections, answers as fast as the agent makes them',
  unit: 'µs CPU per token',
  reference: 'uws-limit, arrays',
  references: ['uws-limit, arrays', 'uws-limit, single', 'uws-naive, arrays', 'uws-naive, single'],
  ours: 'waggle, single',
  contenders: [
    ...both({ ...waggle(), ours: true }),
    ...both(push.uwsLimit),
    ...both(push.uwsNaive),
    // Peers send one token at a time whatever they get, so that one loop is enough for them.
    ...[push.ws, push.socketIo, push.fastify, push.fastapi].map((each) => ({ ...each, size: loops.single })),
  ],
  gates: [
    {
      text: 'arrays of 32: at most 1.5 times uws-limit',
      ours: 'waggle, arrays',
      theirs: 'uws-limit, arrays',
      factor: 1.5,
    },
    {
      // Where the limit takes 0.26 µs; elsewhere in proportion.
      text: 'single tokens: at most 2.5 µs, in proportion to uws-limit at 0.26 µs',
      ours: 'waggle, single',
      theirs: 'uws-limit, arrays',
      factor: 2.5 / 0.26,
    },
  ],
  notes: [
    'Half of what Waggle takes beyond the limit is the log from which every stream can be resumed: each token is one small object until all readers have it. What arrives in one turn is then joined as a whole.',
    'Tried, and dropped: copying every piece of a burst outside the heap as is done for paced streams (a third slower than joining them in one go), and a growing string in place of a list of pieces (more garbage for the same text).',
  ],
  async measure({ size, name, ...contender }, { quick }) {
    const tokens = 4096;
    const question = `burst ${size} ${tokens} ${perTurn}`;
    const on = quick ? 50 : 200;
    // The slow ones have fewer waves: what counts is the time in the window.
    const isSlow = !name.startsWith('waggle') && !name.startsWith('uws-limit');
    const waves = (quick ? 3 : 12) / (isSlow ? 3 : 1);
    const { window } = await streamingRound(
      { name, ...contender },
      {
        connections: 200,
        exact: { question, tokens, on: 4 },
        warmUp: { question, tokens, on: quick ? 20 : 200 },
        // Pauses give the client time for what it has not read yet.
        measured: { question, tokens, waves, pauseMs: 200, on },
      },
    );
    return { metrics: perToken(window), window };
  },
};
