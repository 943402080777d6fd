import { Agent, request } from 'node:http';

const pauseMs = 5;

/** Asks a server for `/health` again and again on one connection, and knows how long the slowest answer took. */
export class HealthProbe {
  slowestMs = 0;
  #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  #port;
  #isStopped = false;
  #done;

  constructor(port) {
    this.#port = port;
    this.#done = this.#run();
    // The error is thrown by `stop`.
    this.#done.catch(() => {});
  }

  /** Ends with the answer under way. @throws when one has failed */
  async stop() {
    this.#isStopped = true;
    try {
      await this.#done;
    } finally {
      this.#agent.destroy();
    }
  }

  async #run() {
    while (!this.#isStopped) {
      const begun = performance.now();
      await this.#ask();
      this.slowestMs = Math.max(this.slowestMs, performance.now() - begun);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  #ask() {
    return new Promise((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port: this.#port, path: '/health', agent: this.#agent });
      call.on('response', (response) => response.resume().on('end', resolve));
      call.on('error', reject);
      call.end();
    });
  }
}
