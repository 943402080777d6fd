import type { AuditEntry } from '../../contracts/access.js';
import type { Logger } from '../../logger.js';

/** Refusals in one second; the rest is counted, so that an attack does not fill the disk. */
const refusalsPerSecond = 20;

/** One structured line for each sign-in, refusal, admin action and deletion. */
export class AuditLog {
  readonly #logger: Logger;
  #second = 0;
  #refusals = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  write({ action, ...entry }: AuditEntry): void {
    if (action === 'refused' && !this.#hasRoom()) return;
    this.#logger.info({ audit: action, ...entry }, 'audit');
  }

  #hasRoom(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      const omitted = this.#refusals - refusalsPerSecond;
      if (omitted > 0) this.#logger.info({ audit: 'refused', omitted }, 'audit');
      this.#second = second;
      this.#refusals = 0;
    }
    return ++this.#refusals <= refusalsPerSecond;
  }
}
