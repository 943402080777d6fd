import type { IncomingHttpHeaders } from 'node:http';

/** Reader of a body. */
export interface BodySink {
  /** Takes the bytes that one read has brought. They are valid only during the call. */
  onBytes(bytes: Uint8Array): void;
  /** The body is complete. */
  onEnd(): void;
  /** The body is lost; nothing follows. */
  onError(error: Error): void;
}

/** A body, pushed to one reader. */
export interface ResponseBody {
  /** Starts to push to `sink`, perhaps during this call. */
  read(sink: BodySink): void;
  /** Stops reading from the connection; bytes that have already been read may still be pushed. */
  pause(): void;
  /** Reads on. Bytes that are already there are pushed during this call, as one. */
  resume(): void;
}

/** A response of a model server. Its body can be read once. */
export interface UpstreamResponse extends ResponseBody {
  readonly statusCode: number;
  /** By name in lower case. */
  readonly headers: IncomingHttpHeaders;
}

/** Whether the status is 2xx. */
export function isOk({ statusCode }: UpstreamResponse): boolean {
  return statusCode >= 200 && statusCode < 300;
}
