/** Error messages by code of the server and of the client. @type {Readonly<Record<string, string>>} */
const words = {
  AGENT_UNAVAILABLE: 'The model cannot be reached at the moment.',
  AGENT_UNKNOWN: 'The chosen agent is no longer available. Choose another one below.',
  AGENT_TIMEOUT: 'The model took too long.',
  AGENT_DISCONNECTED: 'The connection to the model was lost before the answer was complete.',
  AGENT_PROTOCOL: 'The model sent something that cannot be read.',
  AGENT_FAILED: 'The model reported an error.',
  CONTEXT_TOO_LONG: 'This conversation is too long for the model. Start a new one, or send less text.',
  QUEUE_FULL: 'The server is busy at the moment.',
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
  const seconds = Math.ceil(retryAfterMs / 1000);
  return `${what} Try again in ${seconds === 1 ? 'a second' : `${seconds} seconds`}.`;
}

/** @param {string} bytes */
function kilobytes(bytes) {
  return Math.floor(Number(bytes) / 1024).toLocaleString('en');
}
