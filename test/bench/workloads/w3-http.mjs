import { node, pythonServer, uws, waggle } from '../rig/contender.mjs';
import { perToken, streamingRound } from '../rig/streaming.mjs';

const beatsPerSecond = 50;
const formats = { SSE: 'sse', NDJSON: 'ndjson' };

const both = (make, name, ...rest) =>
  Object.entries(formats).map(([format, dialectName]) => ({
    ...make(`${name}, ${format}`, ...rest),
    rival: `waggle, ${format}`,
    client: { dialectName },
  }));

export default {
  id: 'W3',
  title: 'Paced over HTTP: 500 answers at once, 50 tokens a second each',
  unit: 'µs CPU per token',
  reference: 'uws-http-limit, SSE',
  references: ['uws-http-limit, SSE', 'uws-http-limit, NDJSON'],
  ours: 'waggle, SSE',
  contenders: [
    ...both(waggle, 'waggle').map((each) => ({ ...each, ours: true })),
    ...both(node, 'uws-http-limit', 'uws-http-limit.mjs', uws),
    ...both(node, 'node:http', 'node-http.mjs', []),
    ...both(node, 'fastify', 'fastify-http.mjs', ['fastify']),
    ...both(pythonServer, 'fastapi', 'fastapi_http.py', ['fastapi', 'uvicorn', 'uvloop', 'httptools']),
  ],
  gates: Object.keys(formats).map((format) => ({
    text: `${format}: at most 1.2 times the corked limit`,
    ours: `waggle, ${format}`,
    theirs: `uws-http-limit, ${format}`,
    factor: 1.2,
  })),
  notes: [
    'Of three rounds, SSE was at 0.85, 1.03 and 1.34 times the limit, NDJSON at 1.04, 1.14 and 1.55: in the middle the gate holds, not in every round.',
    'As W2: what is left beyond the limit is the log and the cold memory of its objects.',
    'What should help, though it was not compared side by side: a body says when it has something, and its parts are taken while there is room, where each part was awaited (four promises and as many closures for each token); one timer for all heartbeats of an answer, which looks at the clock, where there was a timer and a race of promises for each part.',
  ],
  async measure(contender, { quick }) {
    const seconds = quick ? 0.6 : 10;
    const tokens = Math.round((seconds + 1) * beatsPerSecond);
    const { window } = await streamingRound(contender, {
      connections: 500,
      exact: { question: 'burst 1 500 100', tokens: 500, on: 4 },
      warmUp: { question: 'burst 1 100 20', tokens: 100, on: 200 },
      within: { question: `paced ${tokens}`, tokens, ms: seconds * 1000 },
    });
    return { metrics: perToken(window), window };
  },
};
