import { waggle } from '../rig/contender.mjs';
import { expectWhole } from '../rig/streaming.mjs';
import { withNodes } from '../rig/two-nodes.mjs';
import { measured } from '../rig/window.mjs';

const commands = ['redis-server', 'redis-cli'];
const ours = 'waggle';
const theirs = 'waggle, one server';
const atMost = (text, metric, plus) => ({ text, ours, theirs, ...(metric && { metric }), factor: 0, plus });

export default {
  id: 'P4',
  title: 'Storm: 1000 clients with a stream each are dropped and come back at another server',
  unit: 'ms until all read on',
  reference: theirs,
  ours,
  contenders: [
    { ...waggle(ours), ours: true, commands },
    { ...waggle(theirs), isAlone: true, inMemory: true },
  ],
  gates: [atMost('at most 600 ms', undefined, 600), atMost('no token lost', 'tokens lost', Number.MIN_VALUE)],
  notes: [
    'Both servers share one core, on which 50,000 tokens a second for readers elsewhere do not fit: part of the time is that of the tokens, and not of coming back.',
  ],
  measure: (contender, { quick }) =>
    withNodes(contender, async ({ here, b, programs }) => {
      await here.connect(quick ? 300 : 1000);
      expectWhole(await here.ask({ do: 'streams', question: 'burst 1 100 20', tokens: 100, on: 200 }));
      const tokens = quick ? 150 : 300;
      const window = await measured(programs, () =>
        here.ask({ do: 'storm', question: `paced ${tokens}`, tokens, backTo: b.port }),
      );
      const { result, redisUs = 0 } = window;
      const metrics = {
        value: result.backMs,
        'handshake p99 ms': result.handshakeP99Ms,
        'tokens lost': result.lost,
        'answers incomplete': result.incomplete,
        'Redis ms': redisUs / 1000,
      };
      return { metrics, window };
    }),
};
