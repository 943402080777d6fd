import type { IncomingHttpHeaders } from 'node:http';
import { Waiters } from '../waiters.js';

/** Monotonic times (`performance.now()`) of one request. */
export interface RequestTimes {
  readonly requestReceived: number;
  readonly headersSent: number | undefined;
  readonly firstByteSent: number | undefined;
  readonly lastByteSent: number | undefined;
  /** The socket closed, whoever closed it. */
  readonly peerClosed: number | undefined;
}

/** What the fake saw and did for one request; counts are of the body, without chunk framing. */
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
  readonly atMs: RequestTimes;
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

/** All records, and promises on them. */
export class RequestLog {
  readonly #records: OwnRecord[] = [];
  readonly #waiters = new Waiters();

  get records(): readonly RequestRecord[] {
    return this.#records;
  }

  /** Starts a record. */
  add(start: Pick<RequestRecord, 'method' | 'path' | 'headers' | 'connection' | 'position'>): OwnRecord {
    const record: OwnRecord = {
      id: this.#records.length + 1,
      ...start,
      model: undefined,
      mode: undefined,
      body: undefined,
      atMs: {
        requestReceived: performance.now(),
        headersSent: undefined,
        firstByteSent: undefined,
        lastByteSent: undefined,
        peerClosed: undefined,
      },
      finished: false,
      lines: 0,
      bytes: 0,
      endedBy: undefined,
    };
    this.#records.push(record);
    return record;
  }

  /** Says that a record or the set of sockets changed. */
  changed(): void {
    this.#waiters.check();
  }

  /** Resolves when `find` gives a value. */
  until<T>(find: () => T | undefined, timeoutMs: number, what: () => string): Promise<T> {
    return this.#waiters.until(find, timeoutMs, what);
  }

  /** Rejects all that still wait. */
  close(): void {
    this.#waiters.fail(new Error('the fake was closed'));
  }
}
