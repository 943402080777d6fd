import { count, words } from './words.js';

/**
 * Statistics of a complete answer.
 * @param {import('waggle-server/client').Answer} answer
 * @param {string} [model] that was chosen
 */
export function noteOf({ reason, usage, timings }, model) {
  return [
    ...(model ? [model] : []),
    ...(usage ? [words.tokens(count(usage.outputTokens))] : []),
    ...(timings ? [words.seconds((timings.totalMs / 1000).toFixed(1))] : []),
    ...(reason === 'length' ? [words.cutOff] : []),
  ].join(' · ');
}
