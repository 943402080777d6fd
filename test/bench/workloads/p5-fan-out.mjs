import { tokens as corpus } from '../answers/corpus.mjs';
import { waggle } from '../rig/contender.mjs';
import { callsBetween } from '../rig/redis.mjs';
import { expectWhole, perToken } from '../rig/streaming.mjs';
import { withNodes } from '../rig/two-nodes.mjs';
import { measured } from '../rig/window.mjs';

const beatsPerSecond = 50;
const readers = 500;
const commands = ['redis-server', 'redis-cli'];
const ours = 'waggle';
const theirs = 'waggle, one server';

export default {
  id: 'P5',
  title: 'Fan-out: one answer of 50 tokens a second to 500 readers on each of two servers',
  unit: 'µs CPU of both per delivered token',
  reference: theirs,
  ours,
  contenders: [
    { ...waggle(ours), ours: true, commands },
    { ...waggle(theirs), isAlone: true, inMemory: true },
  ],
  gates: [
    { text: 'at most 1.1 times one server', ours, theirs, factor: 1.1 },
    {
      text: 'at most one message per token between the servers, and their heartbeats',
      ...{ ours, theirs, metric: 'messages/token', factor: 0, plus: 1.3 },
    },
  ],
  notes: [
    'A server sends the other one what an answer has gained in a turn once, however many read it there.',
  ],
  measure: (contender, { quick }) =>
    withNodes(contender, async ({ here, there, programs }) => {
      await here.connect(readers + 1);
      await there.connect(readers);
      const holdMs = quick ? 2000 : 4000;
      const position = corpus[0].length;
      const join = async (tokens) => {
        const question = `paced ${tokens} ${holdMs}`;
        const { streamId } = await here.ask({ do: 'joinAll', question, tokens, position });
        const streamIds = Array.from({ length: readers }, () => streamId);
        await there.ask({ do: 'follow', streamIds, tokens, position });
      };
      const finish = async () => {
        const both = await Promise.all([here, there].map((client) => client.ask({ do: 'finish' })));
        const sum = (of) => both.reduce((all, each) => all + each[of], 0);
        const issues = both.flatMap((each) => each.issues);
        return { tokens: sum('tokens'), frames: sum('frames'), streams: sum('streams'), issues };
      };
      await join(11);
      expectWhole(await finish());
      const tokens = beatsPerSecond * (quick ? 2 : 8) + 1;
      await join(tokens);
      const window = await measured(programs, finish);
      expectWhole(window.result);
      const { calls } = window;
      const metrics = {
        'Redis µs/token': 0,
        'Redis commands/token': 0,
        ...perToken(window),
        'messages/token': calls ? callsBetween(...calls, 'publish') / tokens : 0,
      };
      return { metrics, window };
    }),
};
