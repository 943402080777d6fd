import { variant, waggle } from '../rig/contender.mjs';
import { mock, proxies } from '../rig/servers.mjs';
import { perToken, streamingRound } from '../rig/streaming.mjs';

const ours = { ...waggle(), ours: true };
const { proxyLimit, rawLimit, ws, fastapi } = proxies;
/** Answers of this length: on so many connections, for so many seconds. */
const kinds = [
  { tokens: 50, label: '50 tokens', on: 200, seconds: 2 },
  { tokens: 300, label: '300 tokens', on: 200, seconds: 1 },
  { tokens: 1, label: '1 token', on: 64, seconds: 1.5 },
];
const atMost = (factor, theirs, label) => ({
  text: `${label}: at most ${factor} times ${theirs.name}`,
  ours: `waggle, ${label}`,
  theirs: `${theirs.name}, ${label}`,
  factor,
});

export default {
  id: 'W13',
  title: 'Against Python: whole answers from a mock of Ollama, a token every 20 ms, to 200 WebSockets',
  unit: 'µs CPU per token',
  reference: 'fastapi + aiohttp, 50 tokens',
  references: kinds.flatMap(({ label }) => [`proxy-limit, ${label}`, `raw-limit, ${label}`]),
  ours: 'waggle, 50 tokens',
  contenders: kinds.flatMap(({ label, ...kind }) =>
    [ours, rawLimit, proxyLimit, fastapi, ws].map((each) =>
      variant(each, label, { ...kind, reference: fastapi.name }),
    ),
  ),
  gates: [
    atMost(0.6, fastapi, '50 tokens'),
    atMost(0.5, fastapi, '300 tokens'),
    atMost(0.7, fastapi, '1 token'),
    atMost(1.7, rawLimit, '300 tokens'),
  ],
  async measure({ tokens, on, seconds, ...contender }, { quick }) {
    const question = tokens === 1 ? 'burst 1 1 1' : `paced ${tokens}`;
    const few = Math.min(tokens, 10);
    const warmUp = { question: `burst 1 ${few} ${few}`, tokens: few };
    const { window } = await streamingRound(
      contender,
      {
        connections: on,
        exact: { question: `burst 1 ${tokens} ${tokens}`, tokens, on: 4 },
        warmUp: { ...warmUp, waves: Math.ceil((quick ? 800 : 4000) / on) },
        whole: {
          question,
          tokens,
          ms: seconds * (quick ? 300 : 1000),
          // Paced answers begin one after the other, as those of people do.
          spreadMs: tokens === 1 ? 0 : quick ? 200 : 1000,
        },
      },
      { mock },
    );
    return { metrics: perToken(window), window };
  },
};
