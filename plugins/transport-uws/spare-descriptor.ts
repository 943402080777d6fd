import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import type { Logger, Undo } from '#kernel';
import { every } from '#sdk';

const checkMs = 1000;

/**
 * A file descriptor that is released when no other is left, so that connections can be accepted and refused one by one.
 * Without any, uWebSockets would try to accept in an endless loop.
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
    const check = () => {
      if (this.#file === undefined || canOpen(1)) return;
      this.#logger.error('no file descriptors are left; connections are refused until some are free');
      this.#release();
    };
    this.#stop = every(checkMs, check, (err) =>
      this.#logger.error({ err }, 'the check for file descriptors failed'),
    );
  }

  /** Whether to refuse a connection that was just accepted. */
  mustRefuse(): boolean {
    if (this.#file !== undefined || this.#stop === undefined) return false;
    if (!canOpen(2)) return true;
    this.#file = openSync(devNull, 'r');
    this.#logger.info('file descriptors are available again');
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

/** Whether this process can open `count` more files. */
function canOpen(count: number): boolean {
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
