import type { Session } from './session.js';

/** A client that asks for what it has missed does so at once. */
const patienceMs = 500;

/**
 * Sessions that have not sent a frame yet, with one timer for all: those that stay silent get notifications, too, after one to two
 * times the patience. Two plain lists, because thousands may connect at once: a map of them took 200 bytes for each.
 */
export class FirstFrames {
  #young: Session[] = [];
  #old: Session[] = [];
  #timer: NodeJS.Timeout | undefined;

  await(session: Session): void {
    this.#young.push(session);
    this.#timer ??= setTimeout(() => this.#look(), patienceMs);
  }

  /** Forgets all of them. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#young = [];
    this.#old = [];
  }

  #look(): void {
    const due = this.#old;
    this.#old = this.#young;
    this.#young = [];
    this.#timer = this.#old.length > 0 ? setTimeout(() => this.#look(), patienceMs) : undefined;
    for (const session of due) if (!session.isUpToDate && !session.socket.closed) session.catchUp();
  }
}
