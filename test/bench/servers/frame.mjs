import { randomBytes } from 'node:crypto';

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what JSON has to escape
const needsEscapes = /["\\\u0000-\u001f\ud800-\udfff]/;

/** As long as the ids of every other server under test. */
export const newStreamId = () => randomBytes(18).toString('base64url');

/** What all frames of one stream begin with. */
export const prefixOf = (streamId) => `{"type":"streaming_token","streamId":"${streamId}","content":`;

/** The rest of such a frame. */
export const restOf = (content) =>
  needsEscapes.test(content) ? `${JSON.stringify(content)}}` : `"${content}"}`;

export const startOf = (streamId) => ({
  type: 'streaming_start',
  streamId,
  agent: 'bench',
  conversationId: '00000000-0000-4000-8000-000000000000',
});
export const endOf = (streamId) => ({ type: 'streaming_end', streamId, reason: 'stop', agent: 'bench' });
export const tokenOf = (streamId, content) => ({ type: 'streaming_token', streamId, content });
