import { messageOf } from '../../errors.js';

/** One end of the channel between a process and its child. */
export interface Channel {
  send(message: object, done: (error: Error | null) => void): unknown;
  on(event: 'message', listener: (message: unknown) => void): unknown;
}

/** Handlers by the names of calls. What they return, or resolve with, goes back as JSON. */
export type CallHandlers = Readonly<Record<string, (body: never) => unknown>>;

type Message =
  | { readonly waggle: 'call'; readonly id: number; readonly name: string; readonly body: unknown }
  | { readonly waggle: 'answer'; readonly id: number; readonly body?: unknown; readonly why?: string };

interface Pending {
  resolve(body: unknown): void;
  reject(error: Error): void;
}

const maxPending = 1000;

/** Calls between two processes, each of which ends in time. */
export class Calls {
  readonly #channel: Channel;
  readonly #handlers: CallHandlers;
  readonly #pending = new Map<number, Pending>();
  #last = 0;
  #isClosed = false;

  constructor(channel: Channel, handlers: CallHandlers) {
    this.#channel = channel;
    this.#handlers = handlers;
    channel.on('message', (message) => void this.#receive(message));
  }

  /** Rejects where the other process fails, does not answer in time, or is gone. */
  call(name: string, body: unknown, timeoutMs: number): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(new Error('the other process is gone'));
    if (this.#pending.size >= maxPending) return Promise.reject(new Error('too many calls wait'));
    return new Promise((resolve, reject) => {
      const id = ++this.#last;
      const late = () => settle()?.reject(new Error(`no answer to "${name}" within ${timeoutMs} ms`));
      const timer = setTimeout(late, timeoutMs);
      const settle = () => {
        clearTimeout(timer);
        return this.#pending.delete(id) ? { resolve, reject } : undefined;
      };
      this.#pending.set(id, {
        resolve: (answer) => settle()?.resolve(answer),
        reject: (error) => settle()?.reject(error),
      });
      this.#send({ waggle: 'call', id, name, body }, (error) => this.#pending.get(id)?.reject(error));
    });
  }

  /** A call whose answer is of no interest. */
  tell(name: string, body?: unknown): void {
    this.#send({ waggle: 'call', id: 0, name, body });
  }

  /** Fails what waits. */
  close(): void {
    this.#isClosed = true;
    for (const each of [...this.#pending.values()]) each.reject(new Error('the other process is gone'));
  }

  #send(message: Message, failed: (error: Error) => void = () => {}): void {
    try {
      this.#channel.send(message, (error) => {
        if (error) failed(error);
      });
    } catch (error) {
      failed(error as Error);
    }
  }

  async #receive(given: unknown): Promise<void> {
    if (typeof given !== 'object' || given === null || !('waggle' in given)) return;
    const message = given as Message;
    if (message.waggle === 'answer') {
      const { id, body, why } = message;
      const waiting = this.#pending.get(id);
      if (why === undefined) waiting?.resolve(body);
      else waiting?.reject(new Error(why));
      return;
    }
    const { id, name, body } = message;
    const answer = await this.#handled(name, body);
    // An answer that is no JSON.
    const failed = (error: Error) => this.#send({ waggle: 'answer', id, why: messageOf(error) });
    if (id !== 0) this.#send({ waggle: 'answer', id, ...answer }, failed);
  }

  async #handled(
    name: string,
    body: unknown,
  ): Promise<{ readonly body: unknown } | { readonly why: string }> {
    try {
      const handler = Object.hasOwn(this.#handlers, name) ? this.#handlers[name] : undefined;
      if (!handler) throw new Error(`"${name}" is unknown`);
      return { body: await handler(body as never) };
    } catch (error) {
      return { why: messageOf(error) };
    }
  }
}
