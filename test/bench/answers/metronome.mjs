/** One timer for all paced streams: each stream has a place within the period, and gets one beat a period. */
export class Metronome {
  #waiting;
  #places;
  #placeMs;
  #next = 0;
  #timer;

  constructor(periodMs = 20, places = Math.floor(periodMs / 2)) {
    this.#places = places;
    this.#placeMs = periodMs / places;
    this.#waiting = Array.from({ length: places }, () => []);
  }

  /** A place for a new stream. */
  place() {
    this.#start();
    return this.#next++ % this.#places;
  }

  /** Calls back at the next beat of this place. */
  once(place, callback) {
    this.#waiting[place].push(callback);
  }

  /** The next beat of this place. */
  beat(place) {
    return new Promise((resolve) => this.#waiting[place].push(resolve));
  }

  #start() {
    if (this.#timer) return;
    let done = Math.floor(performance.now() / this.#placeMs);
    this.#timer = setInterval(() => {
      const now = Math.floor(performance.now() / this.#placeMs);
      // After a long turn every place gets one beat, not all that it missed.
      for (let at = Math.max(done, now - this.#places); at < now; at++) {
        const place = at % this.#places;
        const waiting = this.#waiting[place];
        this.#waiting[place] = [];
        for (const callback of waiting) callback();
      }
      done = now;
    }, this.#placeMs);
  }
}
