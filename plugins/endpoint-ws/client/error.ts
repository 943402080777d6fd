/** The server's codes, and those of the client itself. */
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
  /** When it makes sense to ask again. */
  readonly retryAfterMs: number | undefined;
  /** With which code the WebSocket was closed. */
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
