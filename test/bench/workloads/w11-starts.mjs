import { waggle } from '../rig/contender.mjs';
import { HealthProbe } from '../rig/health-probe.mjs';
import { startProgram, startServer } from '../rig/process.mjs';
import { mock, proxies } from '../rig/servers.mjs';
import { addedBy, expectWhole } from '../rig/streaming.mjs';
import { measured } from '../rig/window.mjs';

/** Requests in one go, and how often. */
const sizes = [
  { on: 1, waves: 20 },
  { on: 16, waves: 15 },
  { on: 64, waves: 10 },
  { on: 256, waves: 5 },
  { on: 1000, waves: 3 },
];
const headline = 64;
/** Streams that are under way while others begin. */
const others = 50;
const beatsPerSecond = 50;
/** Enough tokens that answers go on while others begin. */
const answer = { question: 'paced 3', tokens: 3 };
export default {
  id: 'W11',
  title: 'Start storm: 1 to 1000 requests at the same moment, from a mock of Ollama to a WebSocket',
  unit: 'ms until the first token, p99 of 64 at once',
  reference: 'proxy-limit',
  references: ['proxy-limit', 'raw-limit'],
  ours: 'waggle',
  contenders: [
    { ...waggle(), ours: true },
    proxies.proxyLimit,
    proxies.rawLimit,
    proxies.ws,
    proxies.fastapi,
  ],
  gates: [
    {
      text: '64 at once: first token p99 ahead of fastapi + aiohttp, quartiles apart',
      ours: 'waggle',
      theirs: 'fastapi + aiohttp',
      apart: true,
    },
    {
      text: '1000 at once: first token p99 at most 1.5 times that of proxy-limit',
      ours: 'waggle',
      theirs: 'proxy-limit',
      metric: 'p99 ms of 1000',
      factor: 1.5,
    },
    {
      text: 'one at a time: first token at most 1 ms later than directly, p99',
      ours: 'waggle',
      theirs: 'proxy-limit',
      metric: 'added p99 ms, one at a time',
      factor: 0,
      plus: 1,
    },
  ],
  notes: [
    'Answers begin in groups of 16 a turn of the event loop, so that the tokens of running answers, and /health, pass between them.',
  ],
  async measure(contender, { quick }) {
    const upstream = await startProgram(mock.file);
    const programs = [upstream];
    try {
      const { port: mockPort } = await upstream.ask({ do: 'listen' });
      const server = await startServer(contender, { OLLAMA_PORT: String(mockPort) });
      programs.push(server);
      const [client, reader] = await Promise.all([
        startProgram('client/client.mjs'),
        startProgram('client/client.mjs'),
      ]);
      programs.push(client, reader);
      await client.ask({ do: 'connect', port: server.port, count: 1000 });
      // With ids of its own: a server may send a stream to any connection of the same id.
      await reader.ask({ do: 'connect', port: server.port, count: others, path: '/ws/r' });
      expectWhole(
        await client.ask({ do: 'streams', kind: 'exact', question: 'burst 1 50 50', tokens: 50, on: 4 }),
      );
      const warmUp = { question: 'burst 1 1 1', tokens: 1, on: 200, waves: quick ? 4 : 20 };
      expectWhole(await client.ask({ do: 'streams', ...warmUp }));

      const storm = async (on, waves) => {
        const how = { kind: 'timed', ...answer, on, waves, pauseMs: 50 };
        return expectWhole(await client.ask({ do: 'streams', ...how })).firstUs;
      };
      const window = await measured({ server, clients: [client, reader, upstream] }, async () => {
        const firstUs = {};
        for (const { on, waves } of sizes) firstUs[on] = await storm(on, quick ? Math.min(waves, 2) : waves);
        return firstUs;
      });
      const disturbed = await duringStorm(server, reader, () => storm(1000, 1));
      const step = { on: 1, question: 'stamped 3', tokens: 3, waves: quick ? 5 : 60 };
      const added = await addedBy(client, mockPort, step);
      return {
        metrics: {
          value: window.result[headline].p99 / 1000,
          ...firstTokens(window.result),
          ...disturbed,
          'added p99 ms, one at a time': added['first token p99 ms at 1'],
        },
        window,
      };
    } finally {
      await Promise.all(programs.map((each) => each.stop()));
    }
  },
};

function firstTokens(firstUs) {
  const metrics = {};
  for (const { on } of sizes) {
    metrics[`p50 ms of ${on}`] = firstUs[on].p50 / 1000;
    if (on !== headline) metrics[`p99 ms of ${on}`] = firstUs[on].p99 / 1000;
  }
  return metrics;
}

/** How long streams under way and `/health` had to wait while `storm` played. */
async function duringStorm(server, reader, storm) {
  const tokens = 2 * beatsPerSecond;
  const disturb = async () => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const probe = new HealthProbe(server.port);
    await storm().finally(() => probe.stop());
    return probe.slowestMs;
  };
  const [read, slowestMs] = await Promise.all([
    reader.ask({ do: 'streams', kind: 'stamped', question: `stamped ${tokens}`, tokens }),
    disturb(),
  ]);
  return {
    'longest gap of others ms': expectWhole(read).gapUs.max / 1000,
    'slowest /health ms': slowestMs,
  };
}
