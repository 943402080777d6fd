/**
 * Statistics of a complete answer.
 * @param {import('waggle-server/client').Answer} answer
 * @param {string} [model] that was chosen
 */
export function noteOf({ reason, usage, timings }, model) {
  return [
    ...(model ? [model] : []),
    ...(usage ? [`${usage.outputTokens.toLocaleString('en')} tokens`] : []),
    ...(timings ? [`${(timings.totalMs / 1000).toFixed(1)} s`] : []),
    ...(reason === 'length' ? ['cut off at the limit'] : []),
  ].join(' · ');
}
