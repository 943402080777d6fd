import type { IncomingHttpHeaders } from 'node:http';

/** One request as the fake saw and answered it; `lines` and `bytes` count the body without its framing. */
export interface RequestRecord {
  readonly id: number;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The model as the caller sent it. */
  readonly model: string | undefined;
  /** The mode that answers; undefined for routes that do not generate. */
  readonly mode: string | undefined;
  /** Number of the TCP connection, from 1. */
  readonly connection: number;
  /** Place of the request on its connection, from 1. */
  readonly position: number;
  /** The parsed body, or its text when it is not JSON. */
  readonly body: unknown;
  /** Monotonic times by `performance.now()`. */
  readonly atMs: {
    readonly requestReceived: number;
    readonly firstByteSent: number | undefined;
    readonly peerClosed: number | undefined;
  };
  /** The whole answer was handed to the operating system. */
  readonly finished: boolean;
  readonly lines: number;
  readonly bytes: number;
  /** Undefined while the request runs. */
  readonly endedBy: 'peer' | 'fake' | 'deadline' | undefined;
}

type Writable<T> = { -readonly [K in keyof T]: K extends 'atMs' ? Writable<T[K]> : T[K] };

/** The record as the fake itself writes it. */
export type OwnRecord = Writable<RequestRecord>;
