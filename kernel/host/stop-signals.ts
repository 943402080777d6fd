/** Imports nothing: it is there before anything else is loaded. */

const orphanCheckMs = 250;
const exitCodes = { clean: 0, forced: 130 } as const;

/**
 * Hears SIGTERM and SIGINT from its making on, because a process that is the first of its container ignores what it has no
 * handler for. The first one stops the server; where nothing runs yet it ends the process, and so does a second one.
 */
export class StopSignals {
  #stop: (signal: string) => void = () => process.exit(exitCodes.clean);
  #asked = false;

  constructor() {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.#ask(signal));
    // Ctrl-C reaches all of them: the shell that leaves first is no second signal.
    if (process.env.npm_lifecycle_event) onOrphaned(() => this.#asked || this.#ask('the end of npm'));
  }

  /** Something runs now that has to be stopped. */
  onStop(stop: (signal: string) => void): void {
    this.#stop = stop;
  }

  #ask(signal: string): void {
    if (this.#asked) process.exit(exitCodes.forced);
    this.#asked = true;
    this.#stop(signal);
  }
}

/** The shell between npm and this process dies of a signal without passing it on. */
function onOrphaned(act: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    act();
  }, orphanCheckMs);
  timer.unref();
}
