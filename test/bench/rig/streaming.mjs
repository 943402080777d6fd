import { startProgram, startServer } from './process.mjs';
import { measured } from './window.mjs';

/**
 * One round of one server: start, connect, compare the text of a few streams exactly, warm up, measure, stop.
 * `steps` says what to ask of the client.
 */
export async function streamingRound(contender, steps, { mock, env } = {}) {
  const upstream = mock && (await startProgram(mock.file, mock.env));
  const clients = [];
  let server;
  try {
    const mockPort = upstream && (await upstream.ask({ do: 'listen' })).port;
    server = await startServer(contender, { ...env, ...(mockPort && { OLLAMA_PORT: String(mockPort) }) });
    const client = await startProgram(contender.program ?? 'client/ws-client.mjs');
    clients.push(client, ...(upstream ? [upstream] : []));
    await client.ask({ do: 'connect', port: server.port, count: steps.connections, ...contender.client });
    if (steps.exact) expectWhole(await client.ask({ do: 'streams', kind: 'exact', ...steps.exact }));
    if (steps.warmUp) expectWhole(await client.ask({ do: 'streams', ...steps.warmUp }));
    const window = steps.within
      ? await withinStreams({ server, clients, client }, steps.within)
      : await measured({ server, clients }, () => client.ask({ do: 'streams', ...steps.measured }));
    expectWhole(window.result);
    const late =
      steps.stamped && expectWhole(await client.ask({ do: 'streams', kind: 'stamped', ...steps.stamped }));
    return { window, late };
  } finally {
    await Promise.all([server, upstream, ...clients].map((each) => each?.stop()));
  }
}

/** A window that lies within streams which began before and end after it, so that beginnings and ends are not in it. */
async function withinStreams({ server, clients, client }, { question, tokens, ms }) {
  await client.ask({ do: 'begin', question, tokens });
  const window = await measured({ server, clients }, async () => {
    const before = await client.ask({ do: 'count' });
    await new Promise((resolve) => setTimeout(resolve, ms));
    const after = await client.ask({ do: 'count' });
    return after.frames - before.frames;
  });
  const whole = await client.ask({ do: 'finish' });
  const frames = window.result;
  // Where frames were merged, each stands for so many tokens.
  return { ...window, result: { ...whole, frames, tokens: (frames * whole.tokens) / whole.frames } };
}

/** A server that loses or changes something is not measured. */
export function expectWhole(result) {
  if (result.mistakes.length > 0) throw new Error(`streams are not whole: ${result.mistakes.join('; ')}`);
  return result;
}

/** CPU of the server for each token that the client has verified, and what else one wants to know. */
export function perToken({ result, serverUs, serverShare, segments, clientShare }) {
  return {
    value: serverUs / result.tokens,
    'segments/token': segments / result.tokens,
    'frames/token': result.frames / result.tokens,
    'server core %': serverShare * 100,
    'client core %': clientShare * 100,
  };
}
