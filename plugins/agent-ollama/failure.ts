import { messageOf, WaggleError } from '#kernel';
import { ModelError } from './chunks.js';
import { ExchangeError } from './exchange.js';
import { LineError } from './ndjson.js';

const unreachable =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EADDRNOTAVAIL|ECONNABORTED)$/;
const busyRetryAfterMs = 2000;

/** The catalogue's error for whatever went wrong between us and Ollama. Bodies and addresses stay out of the message. */
export function failureOf(agent: string, cause: unknown): WaggleError {
  if (cause instanceof WaggleError) return cause;
  const options = { cause };
  if (cause instanceof LineError)
    return new WaggleError('AGENT_PROTOCOL', { agent, why: cause.message }, options);
  if (cause instanceof ModelError)
    return new WaggleError('AGENT_FAILED', { agent, why: clean(cause.message) }, options);
  const { status_code: status } = cause as { readonly status_code?: number };
  if (status !== undefined) return ofStatus(agent, status, messageOf(cause), options);
  const code = cause instanceof ExchangeError ? cause.code : ((cause as NodeJS.ErrnoException)?.code ?? '');
  if (unreachable.test(code)) {
    const why = `Ollama cannot be reached (${code}); start it or set OLLAMA_HOST`;
    return new WaggleError('AGENT_UNAVAILABLE', { agent, why }, options);
  }
  if (code === 'REDIRECT' || code === 'CONTENT_TYPE' || code === 'TOO_LARGE' || code.startsWith('HPE_')) {
    const why = cause instanceof ExchangeError && !code.startsWith('HPE_') ? cause.message : 'it is not HTTP';
    return new WaggleError('AGENT_PROTOCOL', { agent, why }, options);
  }
  return new WaggleError('AGENT_DISCONNECTED', { agent, why: 'the connection was lost' }, options);
}

function ofStatus(agent: string, status: number, message: string, options: ErrorOptions): WaggleError {
  if (status === 429 || status === 503)
    return new WaggleError(
      'AGENT_UNAVAILABLE',
      { agent, why: 'Ollama is busy', retryAfterMs: busyRetryAfterMs },
      options,
    );
  const [, model] = (status === 404 && /^model ['"](.+)['"] not found/.exec(message)) || [];
  return new WaggleError('AGENT_FAILED', { agent, why: clean(message), model }, options);
}

/** Text of a model server for a client: one line, not too long. */
function clean(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, 200);
}
