import { node, uws, waggle } from '../rig/contender.mjs';
import { startProgram, startServer } from '../rig/process.mjs';
import { measured } from '../rig/window.mjs';

/** The same server, with so many of its readers asleep. */
const stalled = (contender) => ({ ...contender, name: `${contender.name}, 1 % stalled`, stalledShare: 0.01 });
const publish = node('uws publish', 'uws-broadcast.mjs', uws);
const ours = { ...waggle(), ours: true };

export default {
  id: 'W15',
  title: 'Broadcast: one notification of 200 characters to 10,000 connections',
  unit: 'µs CPU per delivered frame',
  reference: 'uws publish',
  ours: 'waggle',
  contenders: [ours, stalled(waggle()), publish, node('ws loop', 'ws-broadcast.mjs', ['ws'])],
  gates: [
    { text: 'at most 1.2 times uws publish', ours: 'waggle', theirs: 'uws publish', factor: 1.2 },
    {
      text: 'p99 of the delivery to the others with 1 % stalled at most 1.2 times that without',
      ours: 'waggle, 1 % stalled',
      theirs: 'waggle',
      metric: 'p99 ms',
      factor: 1.2,
    },
    { text: 'ahead of ws, quartiles apart', ours: 'waggle', theirs: 'ws loop', apart: true },
  ],
  notes: [
    'A notification is posted when all have had the one before. The time is that from the request to the frame at each connection, on the one core of the clients.',
  ],
  async measure(contender, { quick }) {
    const count = quick ? 500 : 10_000;
    const server = await startServer(contender);
    const client = await startProgram('client/client.mjs');
    const how = {
      do: 'broadcast',
      port: server.port,
      chars: 200,
      everyMs: 50,
      stalledShare: contender.stalledShare,
    };
    try {
      await client.ask({ do: 'connect', port: server.port, count });
      // Silent connections get notifications a second after they have come.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await client.ask({ ...how, times: 5 });
      const window = await measured({ server, clients: [client] }, () =>
        client.ask({ ...how, times: quick ? 5 : 30 }),
      );
      const { frames, latencyUs } = window.result;
      return {
        metrics: {
          value: window.serverUs / frames,
          'p50 ms': latencyUs.p50 / 1000,
          'p99 ms': latencyUs.p99 / 1000,
        },
        window,
      };
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};
