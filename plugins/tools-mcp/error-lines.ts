import type { Logger } from '#kernel';
import { RateLimit } from '#sdk';
import type { Secrets } from './secrets.js';

const lineLimitChars = 1000;
const linesPerSecond = 10;

/** The error output of a process in the log, line by line: no secret, no long line, no flood. */
export class ErrorLines {
  readonly #logger: Logger;
  readonly #secrets: Secrets;
  readonly #rate = new RateLimit(linesPerSecond, performance.now());
  #rest = '';
  #leftOut = 0;

  constructor(logger: Logger, secrets: Secrets) {
    this.#logger = logger;
    this.#secrets = secrets;
  }

  readonly add = (text: string): void => {
    const lines = (this.#rest + text).split('\n');
    const rest = lines.pop() ?? '';
    // The rest of a line without an end is cut where a whole one would be.
    this.#rest = rest.length > lineLimitChars ? rest.slice(0, lineLimitChars) : rest;
    for (const line of lines) this.#log(line);
  };

  #log(line: string): void {
    if (line.trim() === '') return;
    if (!this.#rate.take(performance.now())) {
      this.#leftOut++;
      return;
    }
    const fields = this.#leftOut > 0 ? { leftOut: this.#leftOut } : {};
    this.#leftOut = 0;
    this.#logger.debug({ ...fields, line: this.#secrets.hide(line, lineLimitChars) }, 'the MCP server says');
  }
}
