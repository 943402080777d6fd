/** Error messages by code of the server and of the client. @type {Readonly<Record<string, string>>} */
const words = {
  AGENT_UNAVAILABLE: 'The model cannot be reached at the moment.',
  AGENT_UNKNOWN: 'The chosen agent is no longer available. Choose another one below.',
  AGENT_TIMEOUT: 'The model took too long.',
  AGENT_DISCONNECTED: 'The connection to the model was lost before the answer was complete.',
  AGENT_PROTOCOL: 'The model sent something that cannot be read.',
  AGENT_FAILED: 'The model reported an error.',
  CONTEXT_TOO_LONG: 'This conversation is too long for the model. Start a new one, or send less text.',
  RATE_LIMITED: 'You have asked too much in a short time.',
  BUDGET_EXCEEDED: 'There are not enough tokens left for this today.',
  UNAUTHORIZED: 'Your sign-in has ended.',
  FORBIDDEN: 'You may not do this.',
  QUEUE_FULL: 'The server is busy at the moment.',
  ENGINE_UNAVAILABLE: 'The server cannot reach its storage at the moment.',
  SERVER_LOST: 'The server that gave this answer has failed.',
  SHUTTING_DOWN: 'The server is restarting.',
  STREAM_GONE: 'The rest of this answer is no longer available.',
  TOO_LARGE: 'This is too long.',
  BUSY: 'Too many answers are running at once.',
  TIMEOUT: 'There was no response for a long time.',
  CANCELLED: 'The server stopped this answer.',
  INTERNAL: 'Something went wrong on the server.',
};

/**
 * The message for an error, with the time after which to try again.
 * @param {{ readonly code?: string, readonly message?: string, readonly retryAfterMs?: number }} error
 */
export function inPlainWords({ code = '', message = '', retryAfterMs }) {
  const [, limit] = (code === 'TOO_LARGE' && /(\d+) bytes/.exec(message)) || [];
  if (limit) return `This is too long: at most ${kilobytes(limit)} KB can be sent at once.`;
  const [, why] = (code === 'AGENT_FAILED' && /failed: (.+)/s.exec(message)) || [];
  if (why) return `The model reported an error: ${why}`;
  const what = words[code] ?? (message ? `It did not work: ${message}.` : 'It did not work.');
  if (!retryAfterMs) return what;
  return `${what} Try again in ${inWords(retryAfterMs)}.`;
}

/** A time to wait, never shorter than it is. @param {number} ms */
export function inWords(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds === 1) return 'a second';
  if (seconds <= 90) return `${seconds} seconds`;
  const minutes = Math.ceil(seconds / 60);
  return minutes <= 90 ? `${minutes} minutes` : `${Math.ceil(minutes / 60)} hours`;
}

/** @param {string} bytes */
function kilobytes(bytes) {
  return Math.floor(Number(bytes) / 1024).toLocaleString('en');
}
