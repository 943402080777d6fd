/** Codes of the server, and of the client itself. */
export type ClientErrorCode =
  | 'CONNECTION_LOST'
  | 'CLOSED'
  | 'TIMEOUT'
  | 'CANCELLED'
  | 'STREAM_GONE'
  | 'QUEUE_FULL'
  | 'SHUTTING_DOWN'
  | (string & {});

/** Why a request failed, or the connection ended. */
export class WaggleClientError extends Error {
  override readonly name = 'WaggleClientError';
  readonly code: ClientErrorCode;
  readonly requestId: string | undefined;
  /** When to try again. */
  readonly retryAfterMs: number | undefined;
  /** Close code of the WebSocket. */
  readonly closeCode: number | undefined;

  constructor(
    code: ClientErrorCode,
    message: string,
    { requestId, retryAfterMs, closeCode }: Partial<WaggleClientError> = {},
  ) {
    super(message);
    this.code = code;
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
    this.closeCode = closeCode;
  }
}
