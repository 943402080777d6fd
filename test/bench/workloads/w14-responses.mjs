import { waggle } from '../rig/contender.mjs';
import { perToken, streamingRound } from '../rig/streaming.mjs';

const periodMs = 80;
const frames = waggle();
const responses = waggle('waggle, responses', {
  client: { dialectName: 'responses', path: '/v1/responses?client=' },
});

export default {
  id: 'W14',
  title: 'Responses over WebSocket: 2000 connections, 12.5 tokens a second each',
  unit: 'µs CPU per token',
  reference: frames.name,
  references: [frames.name],
  ours: responses.name,
  contenders: [frames, responses],
  gates: [
    {
      text: 'at most 1.5 times our own frames',
      ours: responses.name,
      theirs: frames.name,
      factor: 1.5,
    },
  ],
  notes: [
    'Both are the same server, with one reader for each stream. An event of the Responses API has three times the bytes of a frame of ours, and a number.',
  ],
  async measure(contender, { quick }) {
    const seconds = quick ? 1 : 10;
    // The streams begin within a moment, and end after the window.
    const tokens = Math.round(((seconds + 3) * 1000) / periodMs);
    const { window } = await streamingRound(contender, {
      connections: quick ? 200 : 2000,
      exact: { question: 'burst 1 2000 500', tokens: 2000, on: 4 },
      warmUp: { question: 'burst 1 500 20', tokens: 500, on: 100 },
      within: { question: `every ${periodMs} ${tokens}`, tokens, ms: seconds * 1000 },
    });
    return { metrics: perToken(window), window };
  },
};
