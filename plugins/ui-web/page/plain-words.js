import { count, words } from './words.js';

/**
 * The message for an error, with the time after which to try again.
 * @param {{ readonly code?: string, readonly message?: string, readonly retryAfterMs?: number }} error
 */
export function inPlainWords({ code = '', message = '', retryAfterMs }) {
  const [, limit] = (code === 'TOO_LARGE' && /(\d+) bytes/.exec(message)) || [];
  if (limit) return words.tooLong(count(Math.floor(Number(limit) / 1024)));
  const [, why] = (code === 'AGENT_FAILED' && /failed: (.+)/s.exec(message)) || [];
  if (why) return words.modelError(why);
  const known = Object.hasOwn(words.failures, code) ? Reflect.get(words.failures, code) : undefined;
  const what = known ?? (message ? words.failedBecause(message) : words.failed);
  return retryAfterMs ? `${what} ${words.tryIn(inWords(retryAfterMs))}` : what;
}

/** A time to wait, never shorter than it is. @param {number} ms */
export function inWords(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 90) return words.time(seconds, 'second');
  const minutes = Math.ceil(seconds / 60);
  return minutes <= 90 ? words.time(minutes, 'minute') : words.time(Math.ceil(minutes / 60), 'hour');
}
