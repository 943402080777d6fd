import { nextFrame } from './elements.js';

const sliceMs = 8;

/** Small units of work, done one by one between frames. */
export class Chores {
  /** @type {(() => void)[]} */
  #waiting = [];
  #runs = false;
  #ready;

  /** @param {() => Promise<unknown>} ready loads the requirements, on the first chore */
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

/** Runs a chore. False if it failed and the text stays as it is. @param {() => unknown} chore */
async function tried(chore) {
  try {
    await chore();
    return true;
  } catch (error) {
    console.info('a text stays plain:', error);
    return false;
  }
}
