/** What went wrong, for people, by the server's and the client's codes. @type {Readonly<Record<string, string>>} */
const words = {
  AGENT_UNAVAILABLE: 'The model cannot be reached at the moment.',
  AGENT_UNKNOWN: 'Whoever was chosen to answer is no longer there. Choose another one below.',
  AGENT_TIMEOUT: 'The model took too long.',
  AGENT_DISCONNECTED: 'The connection to the model broke off before the answer was complete.',
  AGENT_PROTOCOL: 'The model sent something that cannot be read.',
  AGENT_FAILED: 'The model reported a mistake.',
  CONTEXT_TOO_LONG: 'This conversation is longer than the model can read. Start a new one, or ask for less.',
  QUEUE_FULL: 'Too much is being asked at the moment.',
  SHUTTING_DOWN: 'The server is being restarted.',
  STREAM_GONE: 'The rest of this answer is no longer there.',
  TOO_LARGE: 'This is too long.',
  BUSY: 'Too many answers are running at once.',
  TIMEOUT: 'Nothing has come for a long time.',
  CANCELLED: 'The server has stopped this answer.',
  INTERNAL: 'Something went wrong in the server.',
};

/**
 * Says what went wrong, and when it makes sense to try again.
 * @param {{ readonly code?: string, readonly message?: string, readonly retryAfterMs?: number }} error
 */
export function inPlainWords({ code = '', message = '', retryAfterMs }) {
  const [, limit] = (code === 'TOO_LARGE' && /(\d+) bytes/.exec(message)) || [];
  if (limit) return `This is too long: at most ${kilobytes(limit)} KB can be sent at once.`;
  const [, why] = (code === 'AGENT_FAILED' && /failed: (.+)/s.exec(message)) || [];
  if (why) return `The model reported a mistake: ${why}`;
  const what = words[code] ?? (message ? `It did not work: ${message}.` : 'It did not work.');
  if (!retryAfterMs) return what;
  const seconds = Math.ceil(retryAfterMs / 1000);
  return `${what} Try again in ${seconds === 1 ? 'a second' : `${seconds} seconds`}.`;
}

/** @param {string} bytes */
function kilobytes(bytes) {
  return Math.floor(Number(bytes) / 1024).toLocaleString('en');
}
