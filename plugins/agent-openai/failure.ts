import type { IncomingMessage } from 'node:http';
import { connectionFailure, oneLine, statusFailure, WaggleError } from '#kernel';
import { ModelError, textOf } from './chunks.js';
import { EventError } from './events.js';

const server = 'the model server';
const retryLimitMs = 30_000;

/** The catalogue's error for whatever went wrong between us and the server. Bodies, addresses and keys stay out of the message. */
export function failureOf(agent: string, cause: unknown): WaggleError {
  const options = { cause };
  if (cause instanceof EventError)
    return new WaggleError('AGENT_PROTOCOL', { agent, why: cause.message }, options);
  if (cause instanceof ModelError)
    return new WaggleError('AGENT_FAILED', { agent, why: oneLine(cause.message) }, options);
  return connectionFailure({ agent, server, advice: 'start it or set baseUrl' }, cause);
}

/** The same for an answer with a status of 400 or more. */
export function refusalOf(
  agent: string,
  { statusCode: status = 0, headers }: IncomingMessage,
  body: string,
  model: string,
): WaggleError {
  // Their texts quote a part of the key.
  if (status === 401 || status === 403)
    return new WaggleError('AGENT_FAILED', {
      agent,
      why: `${server} refuses us (status ${status}); set apiKey`,
    });
  const { error, code } = errorIn(body);
  const message = error === undefined ? `status ${status}` : textOf(error);
  const isUnknown = status === 404 && (code === 'model_not_found' || /\bmodel\b/i.test(message));
  const seconds = Number(headers['retry-after'] ?? Number.NaN);
  return statusFailure(
    { agent, server, advice: '' },
    {
      status,
      message,
      model: isUnknown && model ? model : undefined,
      ...(seconds >= 0 && { retryAfterMs: Math.min(retryLimitMs, seconds * 1000) }),
    },
  );
}

function errorIn(body: string): { readonly error?: unknown; readonly code?: unknown } {
  try {
    const { error } = JSON.parse(body) as { readonly error?: unknown };
    return { error, code: (error as { readonly code?: unknown } | undefined)?.code };
  } catch {
    return {}; // Pages of proxies are nobody's business.
  }
}
