import {
  type Agent,
  type AgentCall,
  type ClientErrorCode,
  type Logger,
  WaggleError,
  type Watcher,
} from '#kernel';
import {
  type AgentCallSource,
  type Cancellation,
  cancellationOf,
  type Deferred,
  deferred,
  LazyAbortController,
  LinkedList,
  type Place,
  settleWithin,
} from '#sdk';

/** Time for an agent to stop after its abort, before its answer ends without it. */
const stopGraceMs = 500;

/** One agent's answer to one request. */
export class Answer implements AgentCallSource {
  readonly agent: Agent;
  /** Its place among the running answers. */
  place: Place<Answer> | undefined;
  readonly #call: AgentCall;
  readonly #onEnded: (answer: Answer) => void;
  /** Aborts with the caller's, and after its agent was unregistered. */
  readonly abort = new LazyAbortController();
  readonly #caller: Cancellation;
  readonly #forward = () => this.abort.abort(this.#call.signal.reason);
  #ended: Deferred<void> | undefined;
  /** Ends `run` without the agent. */
  #abandon: ((failure: Error) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failure: WaggleError<ClientErrorCode> | undefined;
  #isComplete = false;
  #isOver = false;
  #hasEnded = false;

  constructor(agent: Agent, call: AgentCall, onEnded: (answer: Answer) => void) {
    this.agent = agent;
    this.#call = call;
    this.#onEnded = onEnded;
    this.#caller = cancellationOf(call);
    if (this.#caller.isAborted()) this.#forward();
    else this.#caller.onAbort(this.#forward);
  }

  get logger(): Logger {
    return this.#call.logger;
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
  whenEnded(): Promise<void> {
    if (this.#hasEnded) return Promise.resolve();
    this.#ended ??= deferred();
    return this.#ended.promise;
  }

  /** Waits for `pulling`, but not for an agent that was unregistered and does not stop. */
  run(pulling: Promise<void>): Promise<void> {
    // Neither an async function nor `finally`, which hold more memory while an answer runs.
    return new Promise((resolve, reject) => {
      // Anything can be thrown, undefined as well.
      const fail = (failure: unknown) => {
        this.#over();
        reject(failure);
      };
      this.#abandon = fail;
      pulling.then(() => {
        this.#over();
        resolve();
      }, fail);
    });
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
      this.#end();
      return;
    }
    const failure = new WaggleError('AGENT_DISCONNECTED', { agent: this.agent.name, why: 'it was unloaded' });
    this.#failure = failure;
    this.abort.abort(failure);
    this.#timer = setTimeout(() => this.#abandon?.(failure), stopGraceMs);
  }

  #over(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#caller.offAbort(this.#forward);
    this.#end();
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#onEnded(this);
    this.#ended?.resolve();
  }
}

/** Running answers. Those of an unregistered agent get a grace period. */
export class Answers implements Watcher<Agent> {
  readonly #running = new LinkedList<Answer>();
  readonly #unregisterGraceMs: number;
  readonly #onRemoved: (agent: Agent) => void;
  readonly #onEnded = ({ place }: Answer) => {
    if (place) this.#running.remove(place);
  };

  constructor(unregisterGraceMs: number, onRemoved: (agent: Agent) => void) {
    this.#unregisterGraceMs = unregisterGraceMs;
    this.#onRemoved = onRemoved;
  }

  begin(agent: Agent, call: AgentCall): Answer {
    const answer = new Answer(agent, call, this.#onEnded);
    answer.place = this.#running.push(answer);
    return answer;
  }

  added(): void {}

  /** Resolves when no answer needs the agent, within a bounded time. */
  async removed(agent: Agent): Promise<void> {
    this.#onRemoved(agent);
    const answers = [...this.#running].filter((answer) => answer.agent === agent);
    const ended = Promise.all(answers.map((answer) => answer.whenEnded()));
    if (await settleWithin(ended, this.#unregisterGraceMs)) return;
    for (const answer of answers) answer.stop();
    await ended;
  }
}
