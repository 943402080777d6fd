import { connectionFailure, messageOf, oneLine, statusFailure, WaggleError } from '#kernel';
import { ModelError } from './chunks.js';
import { LineError } from './ndjson.js';

/** The catalogue's error for whatever went wrong between us and Ollama. Bodies and addresses stay out of the message. */
export function failureOf(agent: string, cause: unknown): WaggleError {
  const options = { cause };
  if (cause instanceof LineError)
    return new WaggleError('AGENT_PROTOCOL', { agent, why: cause.message }, options);
  if (cause instanceof ModelError)
    return new WaggleError('AGENT_FAILED', { agent, why: oneLine(cause.message) }, options);
  const upstream = { agent, server: 'Ollama', advice: 'start it or set OLLAMA_HOST' };
  const { status_code: status } = cause as { readonly status_code?: number };
  if (status === undefined) return connectionFailure(upstream, cause);
  const message = messageOf(cause);
  const [, model] = (status === 404 && /^model ['"](.+)['"] not found/.exec(message)) || [];
  return statusFailure(upstream, { status, message, model }, options);
}
