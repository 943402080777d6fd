import { variant, waggle } from '../rig/contender.mjs';
import { ahead, atMost } from '../rig/gates.mjs';
import { mock, proxies, push } from '../rig/servers.mjs';
import { streamingRound } from '../rig/streaming.mjs';
import { perAnswer } from '../rig/whole-answers.mjs';

const ours = { ...waggle(), ours: true };
const lengths = [1, 20];
const rows = (contenders, path, more) =>
  lengths.flatMap((tokens) =>
    contenders.map((each) => variant(each, `${path} ${tokens}`, { tokens, ...more })),
  );

export default {
  id: 'W10',
  title: 'Short answers of 1 and 20 tokens: 200 connections, each asks again when its answer has ended',
  unit: 'µs CPU per answer',
  reference: 'ws, push 1',
  references: ['uws-limit, push 1', 'uws-limit, push 20'].concat(
    ['proxy-limit', 'raw-limit'].flatMap((name) => lengths.map((tokens) => `${name}, Ollama ${tokens}`)),
  ),
  ours: 'waggle, push 1',
  contenders: [
    ...rows([ours, push.uwsLimit, push.ws, push.socketIo, push.fastify, push.fastapi], 'push', {
      reference: 'ws',
    }),
    ...rows([ours, proxies.proxyLimit, proxies.rawLimit, proxies.ws, proxies.fastapi], 'Ollama', {
      reference: 'proxy-limit',
      mock,
    }),
  ],
  gates: [
    atMost(2.2, push.ws, 'push 1'),
    ahead(push.ws, 'push 20'),
    atMost(2, proxies.proxyLimit, 'Ollama 1'),
  ],
  notes: [
    'An answer of one token took 110 µs from an agent and 250 µs from Ollama before this was measured. What helped, in this order: the model server read from its socket; no error, logger, signal, timer or promise that a successful answer does not need; and memory that is free at once.',
    'Memory: V8 links each outgrown table of a Map or a Set to the next, and keeps the getters of an object literal in its shape. Whatever such a table or getter has held lives until the next major collection, which was most of every answer. Lists with links that are cleared, maps of slots, and getters that objects share took the time of collections from 17 to 8 µs an answer.',
    'What is left beyond ws is what ws does not do: the conversation is stored, the answer is kept so that it can be resumed, and metrics, events and limits are counted.',
    'A server of Node.js needs some thousand answers until it is compiled: the first 640 take about 490 µs each from Ollama, those after 5000 about 75 (proxy-limit 184 and 41, ws + ollama 1063 and 260). All are measured warm.',
  ],
  async measure({ tokens, ...contender }, { quick }) {
    const question = `burst 1 ${tokens} ${tokens}`;
    const { window } = await streamingRound(
      contender,
      {
        connections: 200,
        exact: { question, tokens, on: 4 },
        warmUp: { question, tokens, waves: 20 },
        whole: { question, tokens, ms: quick ? 400 : 1200 },
      },
      { mock: contender.mock },
    );
    return { metrics: perAnswer(window), window };
  },
};
