import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import type { Logger, Undo } from '#kernel';
import { every } from '#sdk';

const lookMs = 1000;

/**
 * A descriptor that is given up when no other is left: with it connections can be accepted and refused, one after the other.
 * Without any, uWebSockets would try to accept, in vain, for ever.
 */
export class SpareDescriptor {
  readonly #logger: Logger;
  #file: number | undefined;
  #stop: Undo | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  hold(): void {
    this.#file = openSync(devNull, 'r');
    const look = () => {
      if (this.#file === undefined || areLeft(1)) return;
      this.#logger.error('no file descriptors are left: connections are refused until some are');
      this.#release();
    };
    this.#stop = every(lookMs, look, (err) => this.#logger.error({ err }, 'looking for descriptors failed'));
  }

  /** Whether a connection that was just accepted has to go. */
  mustRefuse(): boolean {
    if (this.#file !== undefined || this.#stop === undefined) return false;
    if (!areLeft(2)) return true;
    this.#file = openSync(devNull, 'r');
    this.#logger.info('there are file descriptors again');
    return false;
  }

  release(): void {
    void this.#stop?.();
    this.#stop = undefined;
    this.#release();
  }

  #release(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

/** Whether this process could open so many more files. */
function areLeft(count: number): boolean {
  const opened: number[] = [];
  try {
    while (opened.length < count) opened.push(openSync(devNull, 'r'));
    return true;
  } catch (error) {
    return !/^E[MN]FILE$/.test((error as NodeJS.ErrnoException).code ?? '');
  } finally {
    for (const each of opened) closeSync(each);
  }
}
