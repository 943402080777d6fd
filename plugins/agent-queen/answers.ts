import { type Agent, type ClientErrorCode, WaggleError, type Watcher } from '#kernel';

/** How long an agent may take to stop when it was told to, before its answer ends without it. */
const stopGraceMs = 500;

/** What one agent says for one request. */
export class Answer {
  readonly agent: Agent;
  readonly #caller: AbortSignal;
  readonly #abort = new AbortController();
  readonly #forward = () => this.#abort.abort(this.#caller.reason);
  readonly #onOver: (answer: Answer) => void;
  /** Ends the wait for an agent that does not stop. */
  #forsake: (error: Error) => void = () => {};
  readonly #forsaken = new Promise<never>((_resolve, reject) => {
    this.#forsake = reject;
  });
  #timer: NodeJS.Timeout | undefined;
  #failure: WaggleError<ClientErrorCode> | undefined;
  #isComplete = false;
  #isOver = false;

  constructor(agent: Agent, caller: AbortSignal, onOver: (answer: Answer) => void) {
    this.agent = agent;
    this.#caller = caller;
    this.#onOver = onOver;
    if (caller.aborted) this.#forward();
    else caller.addEventListener('abort', this.#forward, { once: true });
  }

  /** Aborts when its caller's does, and when its agent has left. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Why it was stopped, if its agent has left. */
  get failure(): WaggleError<ClientErrorCode> | undefined {
    return this.#failure;
  }

  /** Nobody waits for it any more; what the agent still says is dropped. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Waits for `pull`, at last without it where its agent has left. */
  async given(pull: () => Promise<void>): Promise<void> {
    try {
      await Promise.race([pull(), this.#forsaken]);
    } finally {
      this.#isOver = true;
      clearTimeout(this.#timer);
      this.#caller.removeEventListener('abort', this.#forward);
      this.#onOver(this);
    }
  }

  /** Its agent has said all: what is still done with it needs no agent. */
  complete(): void {
    this.#isComplete = true;
    clearTimeout(this.#timer);
  }

  /** Ends it, because its agent leaves. */
  stop(): void {
    if (this.#failure) return;
    if (this.#isComplete) {
      this.#onOver(this);
      return;
    }
    const failure = new WaggleError('AGENT_DISCONNECTED', { agent: this.agent.name, why: 'it was unloaded' });
    this.#failure = failure;
    this.#abort.abort(failure);
    this.#timer = setTimeout(() => this.#forsake(failure), stopGraceMs);
  }
}

/** The answers under way: those of an agent that is unregistered may go on for a while. */
export class Answers implements Watcher<Agent> {
  readonly #running = new Set<Answer>();
  readonly #unregisterGraceMs: number;
  readonly #onRemoved: (agent: Agent) => void;
  /** Called with an answer that is over. */
  readonly #waiting = new Set<(answer: Answer) => void>();

  constructor(unregisterGraceMs: number, onRemoved: (agent: Agent) => void) {
    this.#unregisterGraceMs = unregisterGraceMs;
    this.#onRemoved = onRemoved;
  }

  begin(agent: Agent, caller: AbortSignal): Answer {
    const answer = new Answer(agent, caller, (each) => {
      this.#running.delete(each);
      for (const look of this.#waiting) look(each);
    });
    this.#running.add(answer);
    return answer;
  }

  added(): void {}

  /** Resolves when all that it says is over; that has a bound. */
  async removed(agent: Agent): Promise<void> {
    this.#onRemoved(agent);
    const left = new Set([...this.#running].filter((answer) => answer.agent === agent));
    if (left.size === 0) return;
    const timer = setTimeout(() => {
      for (const answer of left) answer.stop();
    }, this.#unregisterGraceMs);
    await new Promise<void>((resolve) => {
      const look = (answer: Answer) => {
        if (!left.delete(answer) || left.size > 0) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
    });
    clearTimeout(timer);
  }
}
