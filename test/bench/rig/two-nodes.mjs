import { tokens as corpus } from '../answers/corpus.mjs';
import { startProgram, startServer } from './process.mjs';
import { startRedis } from './redis.mjs';
import { expectWhole } from './streaming.mjs';
import { measured } from './window.mjs';

/** Characters of a token that says when it was sent. */
const stampChars = 16;

/**
 * Starts two servers on one Redis, and clients of each; one server for both where the contender is `alone`, without a Redis where that is
 * `inMemory`. Stops all of them when `work` is over.
 */
export async function withNodes({ isAlone, inMemory, ...contender }, work) {
  const redis = inMemory ? undefined : await startRedis();
  const started = [];
  try {
    const start = async () => {
      const server = await startServer(contender, { ...contender.env, ...redis?.env });
      started.push(server);
      return server;
    };
    const a = await start();
    const b = isAlone ? a : await start();
    const clients = [await startProgram('client/client.mjs'), await startProgram('client/client.mjs')];
    started.push(...clients);
    const server = isAlone ? [a] : [a, b];
    const [here, there] = clients.map((client, at) => ({
      ask: client.ask,
      // A client id has one connection over all servers.
      connect: (count) =>
        client.ask({ do: 'connect', port: [a, b][at].port, count, path: `/ws/${at}-`, ...contender.client }),
    }));
    return await work({ here, there, b, programs: { server, clients, redis } });
  } finally {
    await Promise.all(started.map((each) => each.stop()));
    await redis?.stop();
  }
}

/** One round of streams that run on one server and are read on the other, each by one reader. */
export function elsewhereRound(contender, { connections, tokens, ms, holdMs, few }) {
  return withNodes(contender, async ({ here, there, programs }) => {
    await there.connect(connections);
    /** Begins streams on one server, has them joined on the other, and leaves them to those who have joined. */
    const follow = async (kind, count, how) => {
      await here.connect(connections);
      const { streamIds } = await here.ask({ do: 'start', question: `${kind} ${count} ${holdMs}` });
      // The first token may still be on its way to the other server, and those who join do not expect it.
      await new Promise((resolve) => setTimeout(resolve, holdMs / 10));
      await there.ask({ do: 'follow', streamIds, tokens: count, position: corpus[0].length, ...how });
      await here.ask({ do: 'leave' });
    };
    await follow('paced', 51);
    expectWhole(await there.ask({ do: 'finish' }));
    await follow('paced', tokens);
    await new Promise((resolve) => setTimeout(resolve, holdMs + 500));
    const window = await measured(programs, async () => {
      const before = await there.ask({ do: 'count' });
      await new Promise((resolve) => setTimeout(resolve, ms));
      const after = await there.ask({ do: 'count' });
      return { frames: after.frames - before.frames, ended: after.ended };
    });
    const whole = expectWhole(await there.ask({ do: 'finish' }));
    const { frames, ended } = window.result;
    await follow('stamped', few, { position: stampChars, isStamped: true });
    const { lateUs } = await there.ask({ do: 'finishStamped' });
    // Where frames were merged, each stands for so many tokens.
    const result = { ...whole, frames, tokens: (frames * whole.tokens) / whole.frames };
    return { window: { ...window, endedEarly: ended, result }, lateUs };
  });
}
