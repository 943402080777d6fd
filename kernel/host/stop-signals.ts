// No imports: this is loaded before everything else.

export const exitCodes = { clean: 0, failed: 1, badConfig: 78, forced: 130 } as const;

const orphanCheckMs = 250;

/**
 * Handles SIGTERM and SIGINT from the start, because process 1 of a container ignores signals without a handler. The first
 * signal stops the server; a second one, or one before there is a server, ends the process.
 */
export class StopSignals {
  #reload: () => void = () => {};
  #stop: (signal: string) => void = () => process.exit(exitCodes.clean);
  #asked = false;
  #signalled = false;

  constructor() {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.#ask(signal));
    // On a terminal it says that the terminal is gone, and ends the process.
    if (!process.stdout.isTTY) process.on('SIGHUP', () => this.reload());
    // Ctrl-C also ends the shell of npm: that is no second signal.
    if (process.env.npm_lifecycle_event) onOrphaned(() => this.#signalled || this.#ask('the end of npm'));
  }

  /** Replaces the immediate exit of the first signal. */
  onStop(stop: (signal: string) => void): void {
    this.#stop = stop;
  }

  /** Replaces what SIGHUP does, which is nothing. */
  onReload(reload: () => void): void {
    this.#reload = reload;
  }

  /** Stops the server as a signal does; the first signal after it ends nothing else. */
  stop(why: string): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#stop(why);
  }

  reload(): void {
    this.#reload();
  }

  #ask(signal: string): void {
    if (this.#signalled) process.exit(exitCodes.forced);
    this.#signalled = true;
    this.stop(signal);
  }
}

/** Runs `act` when the parent is gone: the shell between npm and this process dies of a signal without passing it on. */
function onOrphaned(act: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    act();
  }, orphanCheckMs);
  timer.unref();
}
