import { variant, waggle } from '../rig/contender.mjs';
import { ahead, atMost } from '../rig/gates.mjs';
import { mock, proxies } from '../rig/servers.mjs';
import { perToken, streamingRound } from '../rig/streaming.mjs';
import { wholeRound } from '../rig/whole-round.mjs';

const beatsPerSecond = 50;

const ours = { ...waggle(), ours: true };
const { proxyLimit, ws, fastapi } = proxies;
const whole = 'whole answers';

const timesLess = (factor, theirs) => ({
  text: `at least ${factor} times less than ${theirs}`,
  ours: 'waggle',
  theirs,
  factor: 1 / factor,
});

export default {
  id: 'W5',
  title: 'End to end: from a mock of Ollama to a WebSocket, 200 streams of 50 tokens a second',
  unit: 'µs CPU per token',
  reference: 'proxy-limit',
  references: ['proxy-limit', `proxy-limit, ${whole}`],
  ours: 'waggle',
  contenders: [
    ...[ours, proxyLimit, ws, fastapi],
    ...[ours, proxyLimit, ws, fastapi].map((each) =>
      variant(each, whole, { isWhole: true, reference: proxyLimit.name }),
    ),
  ],
  gates: [
    atMost(1.25, proxyLimit),
    timesLess(2, 'ws + ollama'),
    timesLess(1.5, 'fastapi + aiohttp'),
    ...[ws, fastapi].map((each) => ahead(each, whole)),
    {
      text: 'first token at most 1 ms later than directly, p99 of one stream at a time',
      ours: 'waggle',
      theirs: 'proxy-limit',
      metric: 'first token p99 ms at 1',
      factor: 0,
      plus: 1,
    },
  ],
  notes: [
    'Two thirds of what is spent is the operating system and the HTTP client of Node.js, for Waggle and the limit alike. Beyond the limit Waggle parses each line as JSON and checks it, keeps a log, and watches the time between two tokens: a dozen small steps, none of which takes more than 3 %.',
    'What helped: node:http under the client in place of fetch, lines by events in place of the iterator of a stream, all lines of one read as one batch.',
    'The rounds differ as those of W2 do: 1.13, 1.48 and 1.82 times the limit; ws + ollama went from 22.8 to 31.2 µs.',
    'The first token comes later by what a request costs before its first byte: it is checked, given its turn and a log, and its conversation is read.',
  ],
  async measure({ isWhole, ...contender }, { quick }) {
    if (isWhole) return wholeRound(contender, { connections: 200, tokens: 50, seconds: 3, quick, mock });
    const seconds = quick ? 1 : 10;
    const tokens = Math.round((seconds + 1) * beatsPerSecond);
    const few = beatsPerSecond * (quick ? 1 : 4);
    const { window, added } = await streamingRound(
      contender,
      {
        connections: 200,
        exact: { question: 'burst 1 500 500', tokens: 500, on: 4 },
        warmUp: { question: `paced ${few}`, tokens: few },
        within: { question: `paced ${tokens}`, tokens, ms: seconds * 1000 },
        added: [
          { on: 1, question: 'stamped 10', tokens: 10, waves: quick ? 5 : 60 },
          { on: 64, question: 'stamped 50', tokens: 50, waves: quick ? 1 : 3 },
        ],
      },
      { mock },
    );
    return { metrics: { ...perToken(window), ...Object.assign({}, ...added) }, window };
  },
};
