import { setTimeout as delay } from 'node:timers/promises';
import {
  type Agent,
  type AgentCall,
  type ChatRequest,
  type EventBus,
  messageOf,
  type ReadonlyRegistry,
  type ToolCall,
  WaggleError,
} from '#kernel';
import { cancellationOf, checkContent, isBusy, LazyAgentCall } from '#sdk';
import type { Answer, Answers } from './answers.js';
import { Attempt } from './attempt.js';
import { type Batch, checkedChunks, endsAnswer, hasContent } from './batch.js';
import { BusyRetry } from './busy-retry.js';
import { noticeOf } from './demonstration.js';
import type { Expense } from './expense.js';

/** Time for a busy model server to refuse; only after it an answer counts as begun. */
const startAfterMs = 100;

/** Destination of an answer. */
export interface Sink {
  /** A returned promise delays the agent. */
  write(batch: Batch): void | Promise<void>;
}

/** State shared by all requests. */
export interface QueenState {
  readonly agents: ReadonlyRegistry<Agent>;
  readonly bus: EventBus;
  readonly answers: Answers;
  readonly busyTimeoutMs: number;
  /** Number of requests that wait for a busy agent, by its name. */
  readonly waiting: Map<string, number>;
  spoke(agent: Agent): void;
  failed(agent: Agent, failure: unknown): void;
}

/** Work that belongs to the end of an answer. */
export interface AskingEnds {
  /** Settled with the last chunk; by the caller where there is none. */
  readonly expense?: Expense | undefined;
  /** Called before the last chunks are written. */
  readonly beforeEnd?: (last: Batch) => Promise<void>;
}

/** One request, sent to one agent after another until one has a first token. */
export class Asking {
  readonly #state: QueenState;
  readonly #request: ChatRequest;
  readonly #call: AgentCall;
  readonly #sink: Sink;
  readonly #expense: Expense | undefined;
  readonly #beforeEnd: AskingEnds['beforeEnd'];
  /** The agent of the last `agent` event to the client. */
  #announced: Agent | undefined;
  #asked = 0;
  /** Announces an agent that takes its time. */
  #late: NodeJS.Timeout | undefined;
  /** Whether the sink has the word: an error is then its refusal. */
  #isWriting = false;
  /** Whether a first token was received: no other agent is asked then. */
  spoken = false;
  /** Whether the client gets the text as one piece at the end. */
  isHeldBack = false;
  /** Tool calls for the client. */
  readonly calls: ToolCall[] = [];

  constructor(
    state: QueenState,
    request: ChatRequest,
    call: AgentCall,
    sink: Sink,
    { expense, beforeEnd }: AskingEnds,
  ) {
    this.#state = state;
    this.#request = request;
    this.#call = call;
    this.#sink = sink;
    this.#expense = expense;
    this.#beforeEnd = beforeEnd;
  }

  /** Asks an agent for a complete answer; retries a busy one for a while. @throws the agent's failure */
  async put(agent: Agent, isDemonstration: boolean): Promise<void> {
    const { agents, bus, answers, busyTimeoutMs } = this.#state;
    const { timeoutMs = Number.POSITIVE_INFINITY } = this.#call;
    const untilMs = performance.now() + Math.min(busyTimeoutMs, timeoutMs / 2);
    let retry: BusyRetry | undefined;
    const isFallback = this.#asked++ > 0;
    for (;;) {
      const attempt = new Attempt(bus, this.#request, agent, isFallback);
      const answer = answers.begin(agent, this.#call);
      if (agents.find(agent.name) !== agent) answer.stop();
      this.#late = setTimeout(() => void this.#announceLate(agent), startAfterMs);
      let failure: unknown;
      try {
        return await answer.run(this.#pull(agent, answer, attempt, isDemonstration));
      } catch (error) {
        failure = answer.failure ?? failureOf(agent, error);
      } finally {
        clearTimeout(this.#late);
      }
      // Stopped, or refused by the sink.
      if (cancellationOf(this.#call).isAborted() || this.#isWriting) attempt.cancelled();
      else {
        attempt.failed(failure);
        if (!this.spoken) this.#expense?.fails();
        this.#state.failed(agent, failure);
      }
      if (this.spoken || cancellationOf(this.#call).isAborted()) throw failure;
      retry ??= new BusyRetry(untilMs - performance.now());
      const waitMs = retry.waitMs(failure);
      if (waitMs === undefined) {
        // A busy agent has not begun.
        if (!isBusy(failure)) await this.#announce(agent);
        throw failure;
      }
      this.#call.logger.debug({ agent: agent.name, waitMs }, 'busy; asked again');
      await this.#wait(agent.name, waitMs);
    }
  }

  /** Writes one answer to the sink. One loop instead of generators, each of which would cost a promise or two per token. */
  async #pull(agent: Agent, answer: Answer, attempt: Attempt, isDemonstration: boolean): Promise<void> {
    this.#isWriting = false;
    const { name } = agent;
    checkContent(agent, this.#request);
    this.#expense?.begins();
    const { timeoutMs, userId, connection } = this.#call;
    const call = new LazyAgentCall(answer, { headers: attempt.headers, timeoutMs, userId, connection });
    for await (const pulled of agent.generateResponseStream(this.#request, call)) {
      let chunks: Batch = checkedChunks(pulled, name, this.calls);
      if (answer.isOver) return;
      if (chunks.length === 0) continue;
      this.#expense?.counts(chunks);
      const isLast = endsAnswer(chunks);
      if (!this.spoken) {
        if (!hasContent(chunks)) {
          if (!isLast) continue;
          throw new WaggleError('AGENT_FAILED', { agent: name, why: 'it ended without saying anything' });
        }
        this.spoken = true;
        clearTimeout(this.#late);
        this.#state.spoke(agent);
        this.#isWriting = true;
        const told = this.#announce(agent);
        if (told) await told;
        this.#isWriting = false;
        if (isDemonstration) chunks = [noticeOf(agent, this.#request), ...chunks];
      }
      if (isLast) {
        answer.complete();
        attempt.answered(chunks);
        this.#expense?.settle();
        if (this.#beforeEnd) await this.#beforeEnd(chunks);
      }
      this.#isWriting = true;
      const written = this.#sink.write(chunks);
      if (written) await written;
      this.#isWriting = false;
      if (isLast) return;
    }
    throw new WaggleError('AGENT_DISCONNECTED', { agent: name, why: 'it ended without "done"' });
  }

  #announce(agent: Agent): void | Promise<void> {
    if (this.#announced === agent) return;
    const fallback = this.#announced !== undefined;
    this.#announced = agent;
    this.isHeldBack = fallback;
    return this.#sink.write([{ type: 'agent', agent: agent.name, fallback }]);
  }

  /** Announces an agent that takes its time. */
  async #announceLate(agent: Agent): Promise<void> {
    try {
      await this.#announce(agent);
    } catch {
      // The sink has ended, and refuses the first token as well.
    }
  }

  async #wait(name: string, waitMs: number): Promise<void> {
    const { waiting } = this.#state;
    const before = waiting.get(name) ?? 0;
    waiting.set(name, before + 1);
    try {
      // The request that the agent works on is ahead as well.
      if (!this.#announced) await this.#sink.write([{ type: 'queued', ahead: before + 1 }]);
      await delay(waitMs, undefined, { signal: this.#call.signal });
    } finally {
      const left = (waiting.get(name) ?? 1) - 1;
      if (left > 0) waiting.set(name, left);
      else waiting.delete(name);
    }
  }
}

/** Wraps errors that are not WaggleErrors: those of a third party's agent may contain anything. */
function failureOf(agent: Agent, error: unknown): unknown {
  if (error instanceof Error && error.name === 'WaggleError') return error;
  return new WaggleError(
    'AGENT_FAILED',
    { agent: agent.name, why: 'it threw an error' },
    {
      cause: error instanceof Error ? error : new Error(messageOf(error)),
    },
  );
}
