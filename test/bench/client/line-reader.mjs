const lineFeed = 10;

/** Finds the lines in bytes that arrive in parts. */
export class LineReader {
  /** Of a line that goes on in the next part. */
  #held;
  #onLine;

  /** Calls `onLine(bytes, from, to)` for each line, without its line feed. */
  constructor(onLine) {
    this.#onLine = onLine;
  }

  /** Takes `bytes` from `start` to `stop`, which may be overwritten afterwards. */
  read(bytes, start, stop) {
    let all = bytes;
    let at = start;
    let end = stop;
    if (this.#held) {
      all = Buffer.concat([this.#held, bytes.subarray(start, stop)]);
      at = 0;
      end = all.length;
      this.#held = undefined;
    }
    while (at < end) {
      const to = all.indexOf(lineFeed, at);
      if (to < 0 || to >= end) {
        this.#held = Buffer.from(all.subarray(at, end));
        return;
      }
      this.#onLine(all, at, to);
      at = to + 1;
    }
  }
}
