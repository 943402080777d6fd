import { tokens as corpus } from '../answers/corpus.mjs';
import { node, socketIo, uws, waggle } from '../rig/contender.mjs';
import { fanOutRound, perToken } from '../rig/streaming.mjs';

const beatsPerSecond = 50;

export default {
  id: 'W8',
  title: 'Fan-out: one answer of 50 tokens a second to 1000 readers',
  unit: 'µs CPU per delivered token',
  reference: 'uws publish',
  ours: 'waggle',
  contenders: [
    { ...waggle(), ours: true },
    node('uws publish', 'uws-rooms.mjs', uws),
    node('ws loop', 'ws-rooms.mjs', ['ws']),
    node('socket.io room', 'socketio-rooms.mjs', ['socket.io'], socketIo),
  ],
  gates: [
    { text: 'at most 1.1 times uws publish', ours: 'waggle', theirs: 'uws publish', factor: 1.1 },
    { text: 'ahead of ws, quartiles apart', ours: 'waggle', theirs: 'ws loop', apart: true },
    { text: 'ahead of socket.io, quartiles apart', ours: 'waggle', theirs: 'socket.io room', apart: true },
  ],
  notes: [
    'Each reader has its own place in the log, so that it can be slow, or come late, without the others; native publish has none of that. A frame is written once for all of them.',
    'Looked at, and not done: native publish for readers at the same place. It would save about the tenth that the loop costs beyond the system calls, and need a second way for whoever falls behind.',
  ],
  async measure(contender, { quick }) {
    const tokens = beatsPerSecond * (quick ? 1 : 8) + 1;
    /** Time for all to join, between the first token and the second. */
    const holdMs = quick ? 1500 : 3000;
    const step = (count) => ({
      question: `paced ${count} ${holdMs}`,
      tokens: count,
      position: corpus[0].length,
    });
    const window = await fanOutRound(contender, {
      connections: 1001,
      warmUp: step(11),
      measured: step(tokens),
    });
    return { metrics: perToken(window), window };
  },
};
