import { type Agent, type ClientErrorCode, WaggleError, type Watcher } from '#kernel';
import { deferred, settleWithin } from '#sdk';

/** Time for an agent to stop after its abort, before its answer ends without it. */
const stopGraceMs = 500;

/** One agent's answer to one request. */
export class Answer {
  readonly agent: Agent;
  readonly #caller: AbortSignal;
  readonly #abort = new AbortController();
  readonly #forward = () => this.#abort.abort(this.#caller.reason);
  readonly #ended = deferred();
  /** Rejects when the agent has not stopped in time. */
  readonly #abandoned = deferred<never>();
  #timer: NodeJS.Timeout | undefined;
  #failure: WaggleError<ClientErrorCode> | undefined;
  #isComplete = false;
  #isOver = false;

  constructor(agent: Agent, caller: AbortSignal) {
    this.agent = agent;
    this.#caller = caller;
    if (caller.aborted) this.#forward();
    else caller.addEventListener('abort', this.#forward, { once: true });
  }

  /** Aborts with the caller's signal, and after its agent was unregistered. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The failure where it was stopped because its agent was unregistered. */
  get failure(): WaggleError<ClientErrorCode> | undefined {
    return this.#failure;
  }

  /** Whether nothing waits for it. Later chunks of its agent are dropped. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Resolves when its agent is no longer needed. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Waits for `pull`, but not for an agent that was unregistered and does not stop. */
  async run(pull: () => Promise<void>): Promise<void> {
    try {
      await Promise.race([pull(), this.#abandoned.promise]);
    } finally {
      this.#isOver = true;
      clearTimeout(this.#timer);
      this.#caller.removeEventListener('abort', this.#forward);
      this.#ended.resolve();
    }
  }

  /** Marks the agent's part as complete: the rest of the work does not need it. */
  complete(): void {
    this.#isComplete = true;
    clearTimeout(this.#timer);
  }

  /** Ends the answer of an agent that was unregistered. */
  stop(): void {
    if (this.#failure || this.#isOver) return;
    if (this.#isComplete) {
      this.#ended.resolve();
      return;
    }
    const failure = new WaggleError('AGENT_DISCONNECTED', { agent: this.agent.name, why: 'it was unloaded' });
    this.#failure = failure;
    this.#abort.abort(failure);
    this.#timer = setTimeout(() => this.#abandoned.reject(failure), stopGraceMs);
  }
}

/** Running answers. Those of an unregistered agent get a grace period. */
export class Answers implements Watcher<Agent> {
  readonly #running = new Set<Answer>();
  readonly #unregisterGraceMs: number;
  readonly #onRemoved: (agent: Agent) => void;

  constructor(unregisterGraceMs: number, onRemoved: (agent: Agent) => void) {
    this.#unregisterGraceMs = unregisterGraceMs;
    this.#onRemoved = onRemoved;
  }

  begin(agent: Agent, caller: AbortSignal): Answer {
    const answer = new Answer(agent, caller);
    this.#running.add(answer);
    void answer.ended.then(() => this.#running.delete(answer));
    return answer;
  }

  added(): void {}

  /** Resolves when no answer needs the agent, within a bounded time. */
  async removed(agent: Agent): Promise<void> {
    this.#onRemoved(agent);
    const answers = [...this.#running].filter((answer) => answer.agent === agent);
    const ended = Promise.all(answers.map((answer) => answer.ended));
    if (await settleWithin(ended, this.#unregisterGraceMs)) return;
    for (const answer of answers) answer.stop();
    await ended;
  }
}
