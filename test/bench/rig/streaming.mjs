import { startProgram, startServer } from './process.mjs';
import { callsBetween } from './redis.mjs';
import { wholeAnswers } from './whole-answers.mjs';
import { measured } from './window.mjs';

/**
 * One round of one server: start, connect, compare the text of a few streams exactly, warm up, measure, stop.
 * `steps` says what to ask of the client.
 */
export async function streamingRound(contender, steps, { mock, env, redis } = {}) {
  const upstream = mock && (await startProgram(mock.file, mock.env));
  const clients = [];
  let server;
  try {
    const mockPort = upstream && (await upstream.ask({ do: 'listen' })).port;
    server = await startServer(contender, { ...env, ...(mockPort && { OLLAMA_PORT: String(mockPort) }) });
    const client = await startProgram('client/client.mjs');
    clients.push(client, ...(upstream ? [upstream] : []));
    await client.ask({ do: 'connect', port: server.port, count: steps.connections, ...contender.client });
    if (steps.exact) expectWhole(await client.ask({ do: 'streams', kind: 'exact', ...steps.exact }));
    for (const warmUp of [steps.warmUp ?? []].flat())
      expectWhole(await client.ask({ do: 'streams', ...warmUp }));
    const window = await measure({ server, clients, client, redis }, steps);
    expectWhole(window.result);
    const added = [];
    for (const step of steps.added ?? []) added.push(await addedBy(client, mockPort, step));
    const late =
      steps.stamped && expectWhole(await client.ask({ do: 'streams', kind: 'stamped', ...steps.stamped }));
    return { window, late, added };
  } finally {
    await Promise.all([server, upstream, ...clients].map((each) => each?.stop()));
  }
}

function measure(programs, { within, whole, measured: streams }) {
  if (within) return withinStreams(programs, within);
  if (whole) return wholeAnswers(programs, whole);
  return measured(programs, () => programs.client.ask({ do: 'streams', ...streams }));
}

/** What the way through the server takes longer than the direct one, for `on` streams at the same time. */
export async function addedBy(client, mockPort, { on, ...how }) {
  const direct = await startProgram('client/client.mjs');
  try {
    await direct.ask({ do: 'connect', port: mockPort, count: on, dialectName: 'ollama' });
    const few = { on, question: 'stamped 10', tokens: 10 };
    await direct.ask({ do: 'streams', kind: 'stampedLines', ...few });
    await client.ask({ do: 'streams', kind: 'stamped', ...few });
    const straight = expectWhole(await direct.ask({ do: 'streams', kind: 'stampedLines', on, ...how }));
    const through = expectWhole(await client.ask({ do: 'streams', kind: 'stamped', on, ...how }));
    const difference = (of, percentile) => (through[of][percentile] - straight[of][percentile]) / 1000;
    return {
      [`first token p50 ms at ${on}`]: difference('firstUs', 'p50'),
      [`first token p99 ms at ${on}`]: difference('firstUs', 'p99'),
      [`gap p99 ms at ${on}`]: difference('gapUs', 'p99'),
    };
  } finally {
    await direct.stop();
  }
}

/** A window that lies within streams which began before and end after it, so that beginnings and ends are not in it. */
async function withinStreams({ server, clients, client, redis }, { question, tokens, ms }) {
  await client.ask({ do: 'begin', question, tokens });
  const window = await measured({ server, clients, redis }, async () => {
    const before = await client.ask({ do: 'count' });
    await new Promise((resolve) => setTimeout(resolve, ms));
    const after = await client.ask({ do: 'count' });
    return { frames: after.frames - before.frames, ended: after.ended };
  });
  const whole = await client.ask({ do: 'finish' });
  const { frames, ended } = window.result;
  // Where frames were merged, each stands for so many tokens.
  return {
    ...window,
    endedEarly: ended,
    result: { ...whole, frames, tokens: (frames * whole.tokens) / whole.frames },
  };
}

/** One round of one server with many readers of one stream. */
export async function fanOutRound(contender, { connections, warmUp, measured: how }) {
  const server = await startServer(contender);
  const client = await startProgram('client/client.mjs');
  try {
    await client.ask({ do: 'connect', port: server.port, count: connections, ...contender.client });
    expectWhole(await client.ask({ do: 'fanOut', ...warmUp }));
    await client.ask({ do: 'joinAll', ...how });
    const window = await measured({ server, clients: [client] }, () => client.ask({ do: 'finish' }));
    expectWhole(window.result);
    return window;
  } finally {
    await client.stop();
    await server.stop();
  }
}

/** A server that loses or changes something is not measured. */
export function expectWhole(result) {
  if (result.issues.length > 0) throw new Error(`streams are not whole: ${result.issues.join('; ')}`);
  return result;
}

/** CPU of the server for each token that the client has verified, and what else one wants to know. */
export function perToken({ result, serverUs, serverShare, segments, clientShare, redisUs, calls }) {
  return {
    value: serverUs / result.tokens,
    ...(calls && {
      'Redis µs/token': redisUs / result.tokens,
      'Redis commands/token': callsBetween(...calls) / result.tokens,
    }),
    'segments/token': segments / result.tokens,
    'frames/token': result.frames / result.tokens,
    'server core %': serverShare * 100,
    'client core %': clientShare * 100,
  };
}
