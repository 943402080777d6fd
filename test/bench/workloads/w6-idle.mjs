import { waggle } from '../rig/contender.mjs';
import { residentKb } from '../rig/proc-files.mjs';
import { startProgram, startServer } from '../rig/process.mjs';
import { push } from '../rig/servers.mjs';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export default {
  id: 'W6',
  title: 'Idle: memory of one connection that is open and silent',
  unit: 'KB per connection at 10000',
  reference: 'uws-limit',
  ours: 'waggle',
  contenders: [
    { ...waggle(), ours: true },
    push.uwsLimit,
    push.ws,
    push.socketIo,
    push.fastify,
    push.fastapi,
  ],
  gates: [
    {
      text: 'at most 1.5 times uws-limit and 1 KB, at 10000',
      ours: 'waggle',
      theirs: 'uws-limit',
      factor: 1.5,
      plus: 1,
    },
    {
      text: 'at most 1.5 times uws-limit and 1 KB, at 1000',
      ours: 'waggle',
      theirs: 'uws-limit',
      metric: 'KB at 1000',
      factor: 1.5,
      plus: 1,
    },
  ],
  notes: [
    'An idle connection holds two objects, an id, its address and its entries in two collections. The rest of what is counted is the young generation, which connecting fills with garbage, and which is not given back.',
    'At 1000 connections most of what is counted is garbage: a connection leaves 6 KB of it (7.2 before the host was remembered, paths were matched in loops and ids had one piece), and each page of the young generation is counted from its first use on, until a collection comes round to it. With a young generation of half the size the same thousand connections take up nothing.',
    'What helped: collections and limits that are made with the first request, and an id of one piece: a UUID of Node.js holds fifteen pieces of 32 bytes for as long as it lives.',
  ],
  async measure(contender, { quick }) {
    const settleMs = quick ? 300 : 10_000;
    const server = await startServer(contender);
    const client = await startProgram('client/client.mjs');
    try {
      const connect = (count) =>
        client
          .ask({ do: 'connect', port: server.port, count, ...contender.client })
          .then(() => pause(settleMs));
      // What the first connections load and compile is no memory of theirs.
      await connect(100);
      const base = residentKb(server.pid);
      await connect(1100);
      const thousand = residentKb(server.pid);
      await connect(10_100);
      const tenThousand = residentKb(server.pid);
      return {
        metrics: {
          value: (tenThousand - base) / 10_000,
          'KB at 1000': (thousand - base) / 1000,
          'RSS MB at 100': base / 1024,
          'RSS MB at 10000': tenThousand / 1024,
        },
      };
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};
