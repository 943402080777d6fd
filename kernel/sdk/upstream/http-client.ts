import type { UpstreamResponse } from './response.js';

/** Method, headers and body of a request. */
export interface Inquiry {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Follows one request. */
export interface CallListener {
  onConnected(): void;
  onResponse(response: UpstreamResponse): void;
  /** No response has come. */
  onFailure(error: Error): void;
  /** The response is complete, or the connection is closed. */
  onOver(): void;
}

/** One request and its response. */
export interface Call {
  /** Whether the response is complete, or the connection closed. */
  readonly isOver: boolean;
  /** Discards the rest of the response. */
  discard(): void;
  /** Closes the connection at once, unless the call is over. */
  abort(): void;
}

/** Sends requests over connections of its own. */
export interface HttpClient {
  /** @throws TypeError for invalid headers */
  send(url: URL, inquiry: Inquiry, listener: CallListener): Call;
  /** Closes every connection. */
  close(): void;
}
