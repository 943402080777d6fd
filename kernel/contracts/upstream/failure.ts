import { WaggleError } from '../../errors.js';
import { ExchangeError } from './exchange.js';
import { ModelError, PieceError } from './pieces.js';

const unreachable =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EADDRNOTAVAIL|ECONNABORTED)$/;
/** By these a server that is well says that it does not take what was sent. */
const requestStatus = new Set([400, 413, 422]);
const busyRetryAfterMs = 2000;
const lineChars = 200;

/** What of a model server is shown to people, and what they can do when it cannot be reached. */
export interface Upstream {
  readonly agent: string;
  /** `Ollama` */
  readonly server: string;
  /** `start it or set OLLAMA_HOST` */
  readonly advice: string;
}

/** The catalogue's error for whatever went wrong between us and a model server. Bodies and addresses stay out of its message. */
export function upstreamFailure({ agent, server, advice }: Upstream, cause: unknown): WaggleError {
  if (cause instanceof WaggleError) return cause;
  const options = { cause };
  if (cause instanceof PieceError)
    return new WaggleError('AGENT_PROTOCOL', { agent, why: cause.message }, options);
  if (cause instanceof ModelError)
    return new WaggleError('AGENT_FAILED', { agent, why: oneLine(cause.message) }, options);
  const code = cause instanceof ExchangeError ? cause.code : ((cause as NodeJS.ErrnoException)?.code ?? '');
  if (unreachable.test(code)) {
    const why = `${server} cannot be reached (${code}); ${advice}`;
    return new WaggleError('AGENT_UNAVAILABLE', { agent, why }, options);
  }
  if (code === 'REDIRECT' || code === 'CONTENT_TYPE' || code === 'TOO_LARGE' || code.startsWith('HPE_')) {
    const why = cause instanceof ExchangeError && !code.startsWith('HPE_') ? cause.message : 'it is not HTTP';
    return new WaggleError('AGENT_PROTOCOL', { agent, why }, options);
  }
  return new WaggleError('AGENT_DISCONNECTED', { agent, why: 'the connection was lost' }, options);
}

/** The same for what it has answered with a status of 400 or more. */
export function statusFailure(
  { agent, server }: Upstream,
  answer: {
    readonly status: number;
    readonly message: string;
    /** Where it says that it has no such model. */
    readonly model?: string | undefined;
    readonly retryAfterMs?: number | undefined;
  },
  options: ErrorOptions = {},
): WaggleError {
  const { status, message, model, retryAfterMs = busyRetryAfterMs } = answer;
  if (status === 429 || status === 503)
    return new WaggleError(
      'AGENT_UNAVAILABLE',
      { agent, why: `${server} is busy`, retryAfterMs, busy: true },
      options,
    );
  const refused = requestStatus.has(status) ? status : undefined;
  return new WaggleError('AGENT_FAILED', { agent, why: oneLine(message), model, refused }, options);
}

/** Text of a model server for a client: one line, not too long. */
export function oneLine(text: string): string {
  const line = text
    .slice(0, 10 * lineChars)
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, lineChars);
  // A copy: a part of a text keeps the whole of it in memory.
  return Buffer.from(line, 'utf16le').toString('utf16le');
}
