import type { Logger, Principal } from '#kernel';
import type { KeyEntry } from './config.js';
import type { KeyFile } from './key-file.js';
import { Keys } from './keys.js';

interface Surroundings {
  readonly logger: Logger;
  /** Called when users are no longer accepted. */
  revoked(gone: ReadonlySet<Principal>): void;
}

/** The keys of the config and of the file together, as the file changes. */
export class KeyRing {
  readonly keys = new Keys();
  #own: readonly KeyEntry[];
  #file: KeyFile | undefined;
  readonly #around: Surroundings;
  #isReading = false;
  /** The error of the file, logged once. */
  #trouble: string | undefined;

  constructor(own: readonly KeyEntry[], file: KeyFile | undefined, around: Surroundings) {
    this.#own = own;
    this.#file = file;
    this.#around = around;
  }

  /** The first load. @throws KEYS_UNUSABLE */
  load(): Promise<void> {
    return this.change(this.#own, this.#file);
  }

  /** Takes other keys, and another file, once that was read. @throws KEYS_UNUSABLE */
  async change(own: readonly KeyEntry[], file: KeyFile | undefined): Promise<void> {
    const entries = (await file?.changed()) ?? [];
    this.#own = own;
    this.#file = file;
    const gone = this.keys.replace([...own, ...entries]);
    if (gone.size > 0) this.#around.revoked(gone);
  }

  /** Reads the file again where it has changed. One that is missing or broken leaves the keys as they are. */
  reload(): void {
    // A network disk may take its time.
    if (this.#isReading) return;
    this.#isReading = true;
    this.#reread().finally(() => {
      this.#isReading = false;
    });
  }

  async #reread(): Promise<void> {
    const { logger, revoked } = this.#around;
    const file = this.#file?.path;
    try {
      const entries = await this.#file?.changed();
      this.#recovered();
      if (!entries) return;
      const gone = this.keys.replace([...this.#own, ...entries]);
      logger.info({ file, keys: this.keys.size, revoked: gone.size }, 'the keys have changed');
      if (gone.size > 0) revoked(gone);
    } catch (err) {
      const trouble = String(err);
      if (trouble !== this.#trouble)
        logger.error({ err, file }, 'the file of keys cannot be used; the keys stay as they were');
      this.#trouble = trouble;
    }
  }

  #recovered(): void {
    if (this.#trouble === undefined) return;
    this.#trouble = undefined;
    this.#around.logger.info({ file: this.#file?.path }, 'the file of keys can be used again');
  }
}
