/** @typedef {import('./conversations.js').Choice} Choice */

/** Codes of requests that the conversation on the server does not have, or does not tell a model of. */
const refusals = new Set([
  ...['AGENT_UNKNOWN', 'BUDGET_EXCEEDED', 'BUSY', 'CONTEXT_TOO_LONG', 'FORBIDDEN', 'INVALID_FRAME'],
  ...['INVALID_REQUEST', 'QUEUE_FULL', 'RATE_LIMITED', 'SHUTTING_DOWN', 'TOO_LARGE'],
]);

/** Whether the server has not taken a question, or the model will not be told of it. @param {string} [code] */
export function isRefusal(code = '') {
  return refusals.has(code);
}

/** The fields of a request for a choice. @param {Choice | undefined} choice */
export function askedOf({ agent, model, temperature, maxTokens } = {}) {
  const options = {
    ...(temperature !== undefined && { temperature }),
    ...(maxTokens !== undefined && { maxTokens }),
  };
  return { agent, model, ...(Object.keys(options).length > 0 && { options }) };
}
