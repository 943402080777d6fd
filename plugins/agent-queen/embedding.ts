import { setTimeout as delay } from 'node:timers/promises';
import type { Agent, CallContext, Embeddings, EmbedRequest } from '#kernel';
import { cancellationOf, checkVectors, LazyAgentCall, lacksEmbeddings } from '#sdk';
import { failureOf, type QueenState } from './asking.js';
import { BusyRetry } from './busy-retry.js';
import type { Expense } from './expense.js';

/** One request for embeddings, sent to one agent after another until one has made them. */
export class Embedding {
  readonly #state: QueenState;
  readonly #request: EmbedRequest;
  readonly #call: CallContext;
  readonly #expense: Expense | undefined;

  constructor(state: QueenState, request: EmbedRequest, call: CallContext, expense: Expense | undefined) {
    this.#state = state;
    this.#request = request;
    this.#call = call;
    this.#expense = expense;
  }

  /** Asks an agent; retries a busy one for a while. @throws the agent's failure */
  async put(agent: Agent): Promise<Embeddings> {
    if (!agent.embed) throw lacksEmbeddings(agent.name);
    const { busyTimeoutMs } = this.#state;
    const { timeoutMs = Number.POSITIVE_INFINITY, signal, logger } = this.#call;
    const retry = new BusyRetry(Math.min(busyTimeoutMs, timeoutMs / 2));
    for (;;) {
      try {
        return await this.#ask(agent);
      } catch (failure) {
        if (signal.aborted) throw failure;
        this.#expense?.fails();
        this.#state.failed(agent, failure);
        const waitMs = retry.waitMs(failure);
        if (waitMs === undefined) throw failure;
        logger.debug({ agent: agent.name, waitMs }, 'busy; asked again');
        await delay(waitMs, undefined, { signal });
      }
    }
  }

  async #ask(agent: Agent): Promise<Embeddings> {
    const { agents, answers } = this.#state;
    const answer = answers.begin(agent, this.#call);
    if (agents.find(agent.name) !== agent) answer.stop();
    const { headers, timeoutMs, userId, connection } = this.#call;
    const call = new LazyAgentCall(answer, { headers, timeoutMs, userId, connection });
    this.#expense?.begins();
    let made: Embeddings | undefined;
    const make = async () => {
      made = await agent.embed?.(this.#request, call);
    };
    try {
      await answer.run(make());
      checkVectors(agent.name, this.#request.input.length, made?.embeddings);
    } catch (error) {
      if (cancellationOf(this.#call).isAborted()) throw this.#call.signal.reason;
      throw answer.failure ?? failureOf(agent, error);
    }
    this.#state.spoke(agent);
    this.#expense?.tells(made?.usage);
    return made as Embeddings;
  }
}
