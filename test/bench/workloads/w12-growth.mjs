import { waggle } from '../rig/contender.mjs';
import { residentKb } from '../rig/proc-files.mjs';
import { startProgram, startServer } from '../rig/process.mjs';
import { push } from '../rig/servers.mjs';
import { expectWhole } from '../rig/streaming.mjs';
import { measured } from '../rig/window.mjs';

const sizes = [100, 500, 2000, 5000];
const [fewest] = sizes;
const most = sizes.at(-1);
/** Of all streams together, so that only their number differs. */
const tokensPerSecond = 20_000;
const tokens = 10;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export default {
  id: 'W12',
  title: `Growth: 100 to 5000 streams with ${tokensPerSecond} tokens a second in all, answers of ${tokens} tokens`,
  unit: `µs CPU per token at ${most}`,
  reference: 'uws-limit',
  ours: 'waggle',
  contenders: [{ ...waggle(), ours: true }, push.uwsLimit, push.ws],
  gates: [
    {
      text: 'CPU per token at 5000 streams: at most 1.3 times that at 500',
      ours: 'waggle',
      theirs: 'waggle',
      theirMetric: 'µs/token at 500',
      factor: 1.3,
    },
  ],
  notes: [
    'The limit itself takes 1.4 times as much at 5000 streams as at 500: what a stream touches has left the caches by its next token.',
    'A running answer of Waggle holds about 10 KB, most of it suspended functions and promises from the endpoint to the agent. What helped: three asynchronous functions less on this way, and request objects that are not copied.',
  ],
  async measure(contender, { quick }) {
    const server = await startServer(contender);
    const client = await startProgram('client/client.mjs');
    try {
      await client.ask({ do: 'connect', port: server.port, count: most, ...contender.client });
      const exact = { kind: 'exact', question: `every 4 ${tokens}`, tokens, on: 4 };
      expectWhole(await client.ask({ do: 'streams', ...exact }));
      const question = `burst 1 ${tokens} ${tokens}`;
      expectWhole(await client.ask({ do: 'streams', question, tokens, on: 500, waves: 8, pauseMs: 50 }));
      const runs = {};
      for (const on of sizes) runs[on] = await running({ server, client }, on, quick);
      const again = await running({ server, client }, most, quick);
      const metrics = { value: runs[most].usPerToken };
      for (const on of sizes.slice(0, -1)) metrics[`µs/token at ${on}`] = runs[on].usPerToken;
      return {
        metrics: {
          ...metrics,
          [`µs/token at ${most} again`]: again.usPerToken,
          'KB per stream': (runs[most].kb - runs[fewest].kb) / (most - fewest),
          [`RSS MB at ${fewest}`]: runs[fewest].kb / 1024,
          [`RSS MB at ${most}`]: runs[most].kb / 1024,
          [`RSS MB at ${most} again`]: again.kb / 1024,
        },
        window: worst([...Object.values(runs), again].map(({ window }) => window)),
      };
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};

/** A window of so many streams, after each of them has begun; in it answers end and begin as they come. */
async function running({ server, client }, on, quick) {
  const periodMs = (on * 1000) / tokensPerSecond;
  const answerMs = periodMs * tokens;
  await client.ask({
    do: 'keepAsking',
    question: `every ${periodMs} ${tokens}`,
    tokens,
    on,
    spreadMs: answerMs,
  });
  await pause(answerMs + 200);
  const window = await measured({ server, clients: [client] }, async () => {
    const before = await client.ask({ do: 'countAsked' });
    await pause(quick ? 500 : 2000);
    const after = await client.ask({ do: 'countAsked' });
    return after.frames - before.frames;
  });
  const kb = residentKb(server.pid);
  const whole = expectWhole(await client.ask({ do: 'stopAsking' }));
  // Where frames were merged, each stands for so many tokens.
  const counted = (window.result * whole.tokens) / whole.frames;
  return { window, kb, usPerToken: window.serverUs / counted };
}

/** The highest shares of several windows: a round counts only where each of them does. */
function worst(windows) {
  const most = (share) => Math.max(...windows.map((window) => window[share]));
  return { clientShare: most('clientShare'), foreignShare: most('foreignShare') };
}
