import { messageOf } from '#kernel';

/**
 * `unsent`: the server has certainly not run it. `lost`: it may have, and its answer will not come. `failed`: it has answered,
 * or will never.
 */
export type FaultKind = 'unsent' | 'lost' | 'failed';

/** The failure of a call, or of a connection. */
export class Fault extends Error {
  override readonly name = 'Fault';

  constructor(
    readonly kind: FaultKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** In the data of an error that the wire makes when a response can no longer come. */
export const lostMark = 'waggle:lost';

/** No connection was made: no request can have been read. */
const unsentCodes: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'NOT_CONNECTED',
]);

/** Texts for the codes of the package, whose own ones are for programmers. */
const meanings: Readonly<Record<string, readonly [FaultKind, string]>> = {
  NOT_CONNECTED: ['unsent', 'it is not connected'],
  CONNECTION_CLOSED: ['lost', 'the connection ended'],
  SEND_FAILED: ['lost', 'the connection ended'],
  REQUEST_TIMEOUT: ['failed', 'it gave no answer in time'],
  INVALID_RESULT: ['failed', 'its answer cannot be read'],
  UNSUPPORTED_RESULT_TYPE: ['failed', 'it asks for more input, which nobody can give'],
};

/** The meaning of an error of the package, of `fetch` or of a process. They have no common class: their fields tell. */
export function faultOf(error: unknown, hasSession = false): Fault {
  if (error instanceof Fault) return error;
  const { code, data, cause, status } = fieldsOf(error);
  if (data[lostMark] === true) return new Fault('lost', messageOf(error), { cause: error });
  if (typeof status === 'number') return refusal(status, hasSession, error);
  const [kind, why] = meanings[String(code)] ?? [];
  if (kind && why) return new Fault(kind, why, { cause: error });
  const inner = fieldsOf(cause);
  const network = [code, inner.code].find(
    (each) => typeof each === 'string' && /^(E[A-Z\d]+|EAI_AGAIN|UND_\w+)$/.test(each),
  );
  if (network !== undefined)
    return unsentCodes.has(network)
      ? new Fault('unsent', String(network), { cause: error })
      : new Fault('lost', `the connection ended (${network})`, { cause: error });
  if (messageOf(error) === 'Not connected') return new Fault('unsent', 'it is not connected');
  if (error instanceof TypeError && /terminated|fetch failed/.test(error.message))
    return new Fault('lost', 'the connection ended', { cause: error });
  // The probe of the protocol wraps what went wrong.
  if (cause instanceof Error && cause !== error) return faultOf(cause, hasSession);
  return new Fault('failed', messageOf(error), { cause: error });
}

function refusal(status: number, hasSession: boolean, cause: unknown): Fault {
  if (status === 404 && hasSession) return new Fault('unsent', 'it has forgotten the session', { cause });
  if (status === 401 || status === 403)
    return new Fault('failed', `it refuses the credentials (status ${status})`, { cause });
  return new Fault(status >= 502 && status <= 504 ? 'lost' : 'failed', `it answered with status ${status}`, {
    cause,
  });
}

interface Fields {
  readonly code?: unknown;
  readonly cause?: unknown;
  readonly status?: unknown;
  readonly data: Readonly<Record<string, unknown>>;
}

function fieldsOf(error: unknown): Fields {
  if (typeof error !== 'object' || error === null) return { data: {} };
  const { code, cause, data } = error as Record<string, unknown>;
  const inner = (typeof data === 'object' && data !== null ? data : {}) as Record<string, unknown>;
  return { code, cause, data: inner, status: inner.status };
}
