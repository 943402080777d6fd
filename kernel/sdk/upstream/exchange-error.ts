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

/** First byte of a TLS alert record. */
const tlsAlert = 21;

/** Code of an error of the HTTP parser: a server that expects TLS answers plain HTTP with an alert. */
export function parseErrorCode(code: string, packet: Uint8Array | undefined): string {
  return packet?.[0] === tlsAlert ? 'SECURED' : code;
}
