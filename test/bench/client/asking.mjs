/** Connections that ask again as soon as their answer has ended. */
export class Asking {
  #running = new Set();
  #isStopped = false;
  #done;
  #answers = 0;
  #tokens = 0;
  #frames = 0;
  #issues = [];
  #firstUs = [];

  /**
   * `ask(connection)` starts one answer and gives `{ stream, end }`. The connections begin one after the other within
   * `spreadMs`.
   */
  constructor(connections, ask, spreadMs = 0) {
    this.#done = Promise.all(
      connections.map(async (connection, index) => {
        if (spreadMs > 0)
          await new Promise((resolve) => setTimeout(resolve, (index * spreadMs) / connections.length));
        while (!this.#isStopped) await this.#one(ask(connection));
      }),
    );
  }

  /** Frames with tokens so far, those of answers under way included. */
  get frames() {
    let frames = this.#frames;
    for (const stream of this.#running) frames += stream.frames;
    return frames;
  }

  /** Lets the answers under way end, and gives the sum of all. `firstUs` has one number for each answer. */
  async finish() {
    this.#isStopped = true;
    await this.#done;
    return {
      streams: this.#answers,
      tokens: this.#tokens,
      frames: this.#frames,
      issues: this.#issues.slice(0, 3),
      firstUs: this.#firstUs,
    };
  }

  async #one({ stream, end }) {
    this.#running.add(stream);
    const { mistake } = await end;
    this.#running.delete(stream);
    this.#answers++;
    this.#frames += stream.frames;
    if (mistake) {
      this.#issues.push(mistake);
      // A server that has failed once is not measured, and a closed connection would be asked for ever.
      this.#isStopped = true;
    } else this.#tokens += stream.tokens;
    if (stream.firstUs !== undefined) this.#firstUs.push(stream.firstUs);
  }
}
