import { nextFrame } from './elements.js';

const sliceMs = 8;

/** Small pieces of work, done one after another between frames. */
export class Chores {
  /** @type {(() => void)[]} */
  #waiting = [];
  #runs = false;
  #ready;

  /** @param {() => Promise<unknown>} ready what has to be there before the first one, and is asked for only then */
  constructor(ready) {
    this.#ready = ready;
  }

  /** @param {() => void} chore */
  add(chore) {
    this.#waiting.push(chore);
    if (!this.#runs) void this.#run();
  }

  async #run() {
    this.#runs = true;
    const isReady = await tried(this.#ready);
    // The next chore tries to load the library again.
    if (!isReady) this.#waiting = [];
    for (let until = performance.now() + sliceMs; this.#waiting.length > 0; ) {
      await tried(() => this.#waiting.shift()?.());
      if (performance.now() < until) continue;
      await nextFrame();
      until = performance.now() + sliceMs;
    }
    this.#runs = false;
  }
}

/** Whether it worked: a text stays as it is where it does not. @param {() => unknown} chore */
async function tried(chore) {
  try {
    await chore();
    return true;
  } catch (error) {
    console.info('a text stays plain:', error);
    return false;
  }
}
