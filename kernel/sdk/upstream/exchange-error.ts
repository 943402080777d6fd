/** The connection failed, or the response was unusable. `code` is that of Node.js where there is one. */
export class ExchangeError extends Error {
  override readonly name = 'ExchangeError';
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The error of a request that was no longer wanted. */
export function aborted(): ExchangeError {
  return new ExchangeError('ABORTED', 'aborted');
}

/** The error where no connection was made within its time limit. */
export function connectTimeout(): ExchangeError {
  return new ExchangeError('ETIMEDOUT', 'no connection in time');
}

/** First byte of a TLS alert record. */
const tlsAlert = 21;

/** Code of an error of the HTTP parser: a server that expects TLS answers plain HTTP with an alert. */
export function parseErrorCode(code: string, packet: Uint8Array | undefined): string {
  return packet?.[0] === tlsAlert ? 'SECURED' : code;
}
