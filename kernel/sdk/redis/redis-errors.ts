import { messageOf, WaggleError } from '../../errors.js';

/** The meaning of an error of Redis, or of a connection to it. */
export interface RedisFault {
  /** For people: the reason, and the remedy where there is one. No addresses, names of users or secrets. */
  readonly why: string;
  /** Whether only a change of the config, of the server or of the installation helps. */
  readonly isLasting: boolean;
  /** Whether another connection may lead to a server that is well. */
  readonly isOfConnection: boolean;
}

/** When to try again what the engine does not take now. */
export const engineRetryMs = 1000;

const fault = (why: string, isLasting = false, isOfConnection = true): RedisFault => ({
  why,
  isLasting,
  isOfConnection,
});
const full = fault('it has no memory left; raise its "maxmemory"', false, false);
const cluster = fault(
  'it is a node of a Redis Cluster, which is not supported: one server, or one address of the primary, is',
  true,
);

/** By the first word of a reply of Redis. */
const replies: Readonly<Record<string, RedisFault>> = {
  NOAUTH: fault('it asks for a password', true),
  WRONGPASS: fault('it does not accept this user and password', true),
  NOPERM: fault(
    'its user may not do this; the page of cluster-redis has a rule with all that is needed',
    true,
    false,
  ),
  READONLY: fault('it is a replica, which takes no writes'),
  MASTERDOWN: fault('it is a replica without a primary'),
  LOADING: fault('it is still loading its data', false, false),
  BUSY: fault('it is busy with a script', false, false),
  OOM: full,
  MISCONF: fault('it cannot save to its disk, and takes no writes', false, false),
  NOREPLICAS: fault('it has too few replicas, and takes no writes', false, false),
  MOVED: cluster,
  ASK: cluster,
  CROSSSLOT: cluster,
  CLUSTERDOWN: cluster,
  DENIED: fault('it is in protected mode and accepts this machine only; set a password there', true),
};

/** By code of Node.js. */
const codes: Readonly<Record<string, RedisFault>> = {
  ECONNREFUSED: fault('nothing listens there'),
  ECONNRESET: fault('it has closed the connection'),
  EPIPE: fault('it has closed the connection'),
  ETIMEDOUT: fault('it does not respond'),
  ENOTFOUND: fault('the name of its host is unknown'),
  EAI_AGAIN: fault('the name of its host cannot be looked up now'),
  EHOSTUNREACH: fault('there is no way to it through the network'),
  ENETUNREACH: fault('there is no way to it through the network'),
  ENOENT: fault('there is no such socket'),
  EACCES: fault('this process may not open its socket', true),
  EPROTO: fault('it does not speak TLS there; use redis:// or its TLS port', true),
  ERR_SSL_WRONG_VERSION_NUMBER: fault('it does not speak TLS there; use redis:// or its TLS port', true),
  CERT_HAS_EXPIRED: fault('its certificate has expired', true),
  CERT_NOT_YET_VALID: fault('its certificate is not valid yet', true),
  ERR_TLS_CERT_ALTNAME_INVALID: fault(
    'its certificate is for another name; "tls.serverName" says which',
    true,
  ),
};
const untrusted = fault(
  'its certificate is signed by an authority that is not known; set "tls.caFile"',
  true,
);

/** By what the client library says. */
const texts: readonly (readonly [RegExp, RedisFault])[] = [
  [/^Connection timeout/, fault('it does not respond')],
  [/^The queue is full/, fault('too much waits for it', false, false)],
  [
    /^Socket closed|(client|connection) is (closed|offline)|^Disconnects client/i,
    fault('the connection is lost'),
  ],
  [/^Unknown RESP type/, fault('something else than Redis listens there', true)],
  [/DB index is out of range/, fault('it has no database of this number; see its "databases"', true)],
  [/unknown command .?HELLO/i, fault('it is older than 6.2', true)],
  [/self.signed|unable to (verify|get)/i, untrusted],
  [
    /alert (number \d+|bad certificate|certificate required|handshake failure|unknown ca)/i,
    fault('it does not accept the certificate of this client; set "tls.certFile" and "tls.keyFile"', true),
  ],
];

/** The meaning of an error; undefined for one that only a mistake in this program explains. */
export function redisFault(error: unknown): RedisFault | undefined {
  const { code = '' } = (error ?? {}) as { readonly code?: unknown };
  const message = messageOf(error);
  const [, word = ''] = /^-?([A-Z]+)\b/.exec(message) ?? [];
  return (
    (Object.hasOwn(replies, word) ? replies[word] : undefined) ??
    texts.find(([pattern]) => pattern.test(message))?.[1] ??
    (typeof code === 'string' && Object.hasOwn(codes, code) ? codes[code] : undefined)
  );
}

/** The error for something that Redis did not do; the error itself where it is a mistake of this program. */
export function engineError(error: unknown): unknown {
  if (error instanceof WaggleError) return error;
  const known = redisFault(error);
  return known ? unavailable(known.why, error) : error;
}

/** The error while the engine cannot be used. */
export function unavailable(why: string, cause?: unknown): WaggleError<'ENGINE_UNAVAILABLE'> {
  const details = { why, retryAfterMs: engineRetryMs };
  return new WaggleError('ENGINE_UNAVAILABLE', details, cause === undefined ? undefined : { cause });
}
