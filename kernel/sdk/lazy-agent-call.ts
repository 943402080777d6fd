import type { AgentCall } from '../contracts/agent.js';
import type { Logger } from '../logger.js';
import type { LazyAbortController } from './lazy-abort-controller.js';

/** The origin of a `LazyAgentCall`. */
export interface AgentCallSource {
  readonly abort: LazyAbortController;
  readonly logger: Logger;
}

/** An `AgentCall` that reads its signal and its logger from their source when an agent reads them: both are expensive to create. */
export class LazyAgentCall implements AgentCall {
  declare readonly signal: AbortSignal;
  declare readonly logger: Logger;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly #source: AgentCallSource;

  constructor(source: AgentCallSource, timeoutMs?: number, headers?: AgentCall['headers']) {
    this.#source = source;
    if (headers) this.headers = headers;
    if (timeoutMs !== undefined) this.timeoutMs = timeoutMs;
    Object.defineProperty(this, 'signal', LazyAgentCall.#signal);
    Object.defineProperty(this, 'logger', LazyAgentCall.#logger);
  }

  isAborted(): boolean {
    return this.#source.abort.isAborted();
  }

  onAbort(listener: () => void): void {
    this.#source.abort.onAbort(listener);
  }

  offAbort(listener: () => void): void {
    this.#source.abort.offAbort(listener);
  }

  // Own properties, so that `{ ...call }` has them. Shared getters, because V8 keeps the getters of object literals until the
  // next major garbage collection, with all that they close over.
  static readonly #signal = {
    enumerable: true,
    get(this: LazyAgentCall): AbortSignal {
      return this.#source.abort.signal;
    },
  };
  static readonly #logger = {
    enumerable: true,
    get(this: LazyAgentCall): Logger {
      return this.#source.logger;
    },
  };
}
