import { WaggleError } from '../../errors.js';
import { ExchangeError } from './exchange-error.js';
import { faultKind, lackIn } from './fault-kind.js';
import { oneLine } from './one-line.js';
import { IncompleteError, ModelError, PieceError } from './pieces.js';
import { tlsReason } from './tls.js';
import { tokensIn } from './tokens-in.js';

const unreachable =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EADDRNOTAVAIL|ECONNABORTED)$/;
const unreadable = /^(REDIRECT|CONTENT_TYPE|TOO_LARGE|ENCODING)$/;
const busyRetryAfterMs = 2000;
/** Status of a refusal that came with a 5xx status. */
const refusedStatus = 400;

/** Whether the server has answered, if only with an error status, a page or a body that cannot be read. */
export function hasAnswered(cause: unknown): boolean {
  if (cause instanceof WaggleError) return true;
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  if (cause instanceof ExchangeError)
    return /^(REDIRECT|CONTENT_TYPE|TOO_LARGE|ENCODING|LATE)$/.test(cause.code);
  return typeof code !== 'string';
}

/** Texts about a model server for error messages. */
export interface Upstream {
  readonly agent: string;
  /** Name of the server: `Ollama`. */
  readonly server: string;
  /** Remedy where it cannot be reached: `start it or set OLLAMA_HOST`. */
  readonly advice: string;
  /** Remedy where it refuses the key: `set apiKey`. */
  readonly keyAdvice?: string | undefined;
  /** Keys that are sent to it, to be removed from its error texts. */
  readonly secrets?: readonly string[] | undefined;
}

/** The WaggleError for any failure of a model server. Its message contains neither address nor keys. */
export function upstreamFailure(upstream: Upstream, cause: unknown): WaggleError {
  if (cause instanceof WaggleError) return cause;
  const { agent, server, advice } = upstream;
  const options = { cause };
  if (cause instanceof ModelError) return modelFailure(upstream, cause);
  if (cause instanceof PieceError)
    return new WaggleError('AGENT_PROTOCOL', { agent, why: cause.message }, options);
  if (cause instanceof IncompleteError)
    return new WaggleError('AGENT_DISCONNECTED', { agent, why: cause.message }, options);
  const { code = '', message = '' } = (cause ?? {}) as NodeJS.ErrnoException;
  const reached = unreachable.test(code) ? `(${code}); ${advice}` : undefined;
  const tls = tlsReason(code, message);
  if (reached ?? tls) {
    const why = `${server} cannot be reached${reached ? ` ${reached}` : `: ${tls}`}`;
    return new WaggleError('AGENT_UNAVAILABLE', { agent, why }, options);
  }
  if (cause instanceof ExchangeError && unreadable.test(code))
    return new WaggleError('AGENT_PROTOCOL', { agent, why: message }, options);
  if (code.startsWith('HPE_'))
    return new WaggleError('AGENT_PROTOCOL', { agent, why: 'it is not HTTP' }, options);
  if (code === 'Z_DATA_ERROR' || code.startsWith('ERR_BROTLI') || code.startsWith('ERR__ERROR_FORMAT'))
    return new WaggleError('AGENT_PROTOCOL', { agent, why: 'its answer cannot be decompressed' }, options);
  const why =
    code === 'UNANSWERED'
      ? 'the connection was closed without an answer; if it speaks TLS, use https:// in its URL'
      : 'the connection was lost';
  return new WaggleError('AGENT_DISCONNECTED', { agent, why }, options);
}

/** The WaggleError for an error that the server has reported. */
function modelFailure(upstream: Upstream, cause: ModelError): WaggleError {
  const { agent, server, keyAdvice = 'check its key', secrets } = upstream;
  const { status, code = '', model, retryAfterMs } = cause.info;
  const why = oneLine(cause.message, secrets);
  // The cause goes to the log, also without our keys.
  const options = { cause: new ModelError(why, cause.info) };
  switch (faultKind(status, code, cause.message)) {
    case 'busy': {
      // Waiting does not restore a quota.
      if (retryAfterMs === undefined && /\binsufficient_quota\b/.test(code))
        return new WaggleError('AGENT_FAILED', { agent, why }, options);
      const wait = { retryAfterMs: retryAfterMs ?? busyRetryAfterMs, busy: status === 429 ? 429 : 503 };
      return new WaggleError('AGENT_UNAVAILABLE', { agent, why: `${server} is busy`, ...wait }, options);
    }
    case 'context':
      return new WaggleError('CONTEXT_TOO_LONG', { agent, why, ...tokensIn(cause.message) }, options);
    case 'model':
      return new WaggleError('AGENT_FAILED', { agent, why, model }, options);
    case 'refused':
      return new WaggleError(
        'AGENT_FAILED',
        { agent, why, refused: refusalStatus(status), lacks: lackIn(cause.message) },
        options,
      );
    case 'access': {
      // Its text may quote a part of the key.
      const refusal = `${server} refuses us (status ${status}); ${keyAdvice}`;
      return new WaggleError('AGENT_FAILED', { agent, why: refusal }, options);
    }
    case 'secured': {
      const unsafe = `${server} cannot be reached: ${tlsReason('SECURED', '')}`;
      return new WaggleError('AGENT_UNAVAILABLE', { agent, why: unsafe }, options);
    }
    default:
      return new WaggleError('AGENT_FAILED', { agent, why }, options);
  }
}

function refusalStatus(status: number | undefined): number {
  return status !== undefined && status < 500 ? status : refusedStatus;
}
