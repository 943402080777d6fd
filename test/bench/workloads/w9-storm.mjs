import { node, socketIo, uws, waggle } from '../rig/contender.mjs';
import { startProgram, startServer } from '../rig/process.mjs';
import { expectWhole } from '../rig/streaming.mjs';
import { measured } from '../rig/window.mjs';

export default {
  id: 'W9',
  title: 'Storm: 1000 clients with a stream each are dropped and come back at once',
  unit: 'ms until all read on',
  reference: 'uws publish',
  ours: 'waggle',
  contenders: [
    { ...waggle(), ours: true },
    node('uws publish', 'uws-rooms.mjs', uws),
    node('ws', 'ws-rooms.mjs', ['ws']),
    node('socket.io', 'socketio-rooms.mjs', ['socket.io'], socketIo),
  ],
  gates: [
    { text: 'at most 1.2 times uws publish', ours: 'waggle', theirs: 'uws publish', factor: 1.2 },
    {
      text: 'no token lost',
      ours: 'waggle',
      theirs: 'uws publish',
      metric: 'tokens lost',
      factor: 0,
      plus: Number.MIN_VALUE,
    },
  ],
  notes: [
    'Whoever comes back to Waggle is given what it missed, and goes on; the others only publish on, and lose what was said in between. That is what the rest of the time goes into: a thousand logs are read from a position, and their text is sent again.',
  ],
  async measure(contender, { quick }) {
    const server = await startServer(contender);
    const client = await startProgram('client/client.mjs');
    try {
      const count = quick ? 300 : 1000;
      await client.ask({ do: 'connect', port: server.port, count, ...contender.client });
      const warmUp = { question: 'burst 1 100 20', tokens: 100, on: 200 };
      expectWhole(await client.ask({ do: 'streams', ...warmUp }));
      const tokens = quick ? 150 : 300;
      const window = await measured({ server, clients: [client] }, () =>
        client.ask({ do: 'storm', question: `paced ${tokens}`, tokens }),
      );
      const { result } = window;
      return {
        metrics: {
          value: result.backMs,
          'handshake p99 ms': result.handshakeP99Ms,
          'tokens lost': result.lost,
          'answers incomplete': result.incomplete,
        },
        window,
      };
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};
