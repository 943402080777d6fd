import { variant, waggle } from '../rig/contender.mjs';
import { atMost } from '../rig/gates.mjs';
import { mock, proxies } from '../rig/servers.mjs';
import { wholeRound } from '../rig/whole-round.mjs';

const ours = { ...waggle(), ours: true };
const { proxyLimit, rawLimit, ws, fastapi } = proxies;
/** Answers of this length: on so many connections, for so many seconds. */
const kinds = [
  { tokens: 50, label: '50 tokens', on: 200, seconds: 4 },
  { tokens: 300, label: '300 tokens', on: 200, seconds: 7 },
  { tokens: 1, label: '1 token', on: 64, seconds: 1.5 },
];

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
  measure: ({ on, ...contender }, { quick }) =>
    wholeRound(contender, { ...contender, connections: on, quick, mock }),
};
