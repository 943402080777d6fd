import {
  type Agent,
  type CallContext,
  type ClientErrorCode,
  type Logger,
  type ReadonlyRegistry,
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
import type { Config } from './config.js';

/** Time for an agent to stop after its abort, before its answer ends without it. */
const stopGraceMs = 500;

/** One agent's answer to one request. */
export class Answer implements AgentCallSource {
  readonly agent: Agent;
  /** Its place among the running answers. */
  place: Place<Answer> | undefined;
  readonly #call: CallContext;
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

  constructor(agent: Agent, call: CallContext, onEnded: (answer: Answer) => void) {
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

/** Running answers. Those of an unregistered agent get a grace period, and as long as they need where it has a successor. */
export class Answers implements Watcher<Agent> {
  readonly #running = new LinkedList<Answer>();
  readonly #config: Pick<Config, 'unregisterGraceMs'>;
  readonly #agents: Pick<ReadonlyRegistry<Agent>, 'find'>;
  readonly #onRemoved: (agent: Agent) => void;
  readonly #counts = new WeakMap<Agent, number>();
  readonly #onEnded = ({ agent, place }: Answer) => {
    if (place) this.#running.remove(place);
    this.#counts.set(agent, this.runningOf(agent) - 1);
  };

  constructor(
    config: Pick<Config, 'unregisterGraceMs'>,
    agents: Pick<ReadonlyRegistry<Agent>, 'find'>,
    onRemoved: (agent: Agent) => void,
  ) {
    this.#config = config;
    this.#agents = agents;
    this.#onRemoved = onRemoved;
  }

  /** The number of answers that an agent gives now. */
  runningOf(agent: Agent): number {
    return this.#counts.get(agent) ?? 0;
  }

  begin(agent: Agent, call: CallContext): Answer {
    this.#counts.set(agent, this.runningOf(agent) + 1);
    const answer = new Answer(agent, call, this.#onEnded);
    answer.place = this.#running.push(answer);
    return answer;
  }

  added(): void {}

  /** Resolves when no answer needs the agent. */
  async removed(agent: Agent): Promise<void> {
    this.#onRemoved(agent);
    const answers = [...this.#running].filter((answer) => answer.agent === agent);
    const ended = Promise.all(answers.map((answer) => answer.whenEnded()));
    const hasSuccessor = this.#agents.find(agent.name) !== undefined;
    if (!hasSuccessor && !(await settleWithin(ended, this.#config.unregisterGraceMs)))
      for (const answer of answers) answer.stop();
    await ended;
  }
}
