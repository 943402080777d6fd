import type { IncomingMessage } from 'node:http';
import { statusFailure, type Upstream, WaggleError } from '#kernel';
import { textOf } from './chunks.js';

const retryLimitMs = 30_000;

/** The catalogue's error for an answer with a status of 400 or more. Bodies, addresses and keys stay out of the message. */
export function refusalOf(
  upstream: Upstream,
  { statusCode: status = 0, headers }: IncomingMessage,
  body: string,
  model: string,
): WaggleError {
  // Their texts quote a part of the key.
  if (status === 401 || status === 403)
    return new WaggleError('AGENT_FAILED', {
      agent: upstream.agent,
      why: `${upstream.server} refuses us (status ${status}); set apiKey`,
    });
  const { error, code } = errorIn(body);
  const message = error === undefined ? `status ${status}` : textOf(error);
  const isUnknown = status === 404 && (code === 'model_not_found' || /\bmodel\b/i.test(message));
  const seconds = Number(headers['retry-after'] ?? Number.NaN);
  return statusFailure(upstream, {
    status,
    message,
    model: isUnknown && model ? model : undefined,
    ...(seconds >= 0 && { retryAfterMs: Math.min(retryLimitMs, seconds * 1000) }),
  });
}

function errorIn(body: string): { readonly error?: unknown; readonly code?: unknown } {
  try {
    const { error } = JSON.parse(body) as { readonly error?: unknown };
    return { error, code: (error as { readonly code?: unknown } | undefined)?.code };
  } catch {
    return {}; // Pages of proxies are nobody's business.
  }
}
