import type { LogEntry, ReadableListener, Reply, ReplyReader } from '#kernel';
import type { Config } from './config.js';
import { errorEvent } from './errors.js';
import { failureOf } from './failure.js';
import { endOf, toolCallOf } from './whole.js';
import { doneEvent, type Wording } from './wording.js';

interface Waiting {
  resolve(result: IteratorResult<string>): void;
  reject(error: unknown): void;
}

const keepAlive = ': keep-alive\n\n';
const done = { done: true, value: undefined } as const;

/**
 * One reply as an event stream, a part for all that is new. Nothing comes before the first token, unless that takes too
 * long; until then a failure is thrown, so that it has a status. Closing it lets its reader leave.
 */
export class EventStream implements AsyncIterableIterator<string>, ReadableListener {
  readonly #reply: Reply;
  readonly #reader: ReplyReader;
  readonly #wording: Wording;
  readonly #includeUsage: boolean;
  readonly #heartbeatMs: number;
  #timer: NodeJS.Timeout;
  #waiting: Waiting | undefined;
  /** Something was sent. */
  #begun = false;
  #started = false;
  #over = false;
  #toolCalls = 0;

  constructor(
    reply: Reply,
    wording: Wording,
    includeUsage: boolean,
    { holdHeadersMs, heartbeatMs }: Pick<Config, 'holdHeadersMs' | 'heartbeatMs'>,
  ) {
    this.#reply = reply;
    this.#reader = reply.read();
    this.#wording = wording;
    this.#includeUsage = includeUsage;
    this.#heartbeatMs = heartbeatMs;
    this.#timer = setTimeout(() => this.#beat(), holdHeadersMs);
    this.#reader.onReadable(this);
  }

  readable(): void {
    // Nobody waits: the connection takes nothing.
    if (this.#waiting) this.#go();
    else this.#reader.merge();
  }

  next(): Promise<IteratorResult<string>> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#go();
    });
  }

  async return(): Promise<IteratorResult<string>> {
    this.#end();
    this.#waiting?.resolve(done);
    await this.#reader.return();
    return done;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #go(): void {
    try {
      while (!this.#over) {
        const entries = this.#reader.take();
        if (!entries) break;
        if (entries.length === 0) return;
        const part = this.#encode(entries);
        if (part !== '') {
          this.#give(part);
          return;
        }
      }
      this.#end();
      this.#settle()?.resolve(done);
    } catch (error) {
      this.#end();
      this.#settle()?.reject(error);
    }
  }

  #give(part: string): void {
    if (!this.#over && this.#begun) this.#timer.refresh();
    else if (!this.#over) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#beat(), this.#heartbeatMs);
    }
    this.#begun = true;
    this.#settle()?.resolve({ done: false, value: part });
  }

  #beat(): void {
    if (this.#waiting) this.#give(keepAlive);
    else this.#timer.refresh();
  }

  #settle(): Waiting | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  #encode(entries: readonly LogEntry[]): string {
    let part = '';
    for (const { frame } of entries)
      switch (frame.type) {
        case 'streaming_token':
          part += this.#start() + this.#wording.text(frame.content);
          break;
        case 'streaming_thinking':
          part += this.#start() + this.#wording.thinking(frame.content);
          break;
        case 'streaming_tool_call':
          part += this.#start() + this.#wording.toolCall(this.#toolCalls++, toolCallOf(frame));
          break;
        case 'message':
          part += this.#start() + this.#wording.text(frame.content);
          part += this.#finish(endOf('stop', this.#toolCalls), frame.usage);
          break;
        case 'streaming_end':
          part += this.#start() + this.#finish(endOf(frame.reason, this.#toolCalls), frame.usage);
          break;
        case 'error':
        case 'cancelled': {
          const failure = failureOf(frame, this.#reply);
          if (!this.#begun && part === '') throw failure;
          this.#end();
          part += errorEvent(failure);
        }
      }
    return part;
  }

  #start(): string {
    if (this.#started) return '';
    this.#started = true;
    return this.#wording.start();
  }

  #finish(reason: string, usage: Parameters<Wording['usage']>[0]): string {
    this.#end();
    return this.#wording.finish(reason) + (this.#includeUsage ? this.#wording.usage(usage) : '') + doneEvent;
  }
}
