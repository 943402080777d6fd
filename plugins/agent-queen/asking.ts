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
import { checkContent } from '#sdk';
import { isBusy } from '#sdk/upstream';
import type { Answers } from './answers.js';
import { Attempt } from './attempt.js';
import { type Batch, checkedChunks, isWhole, speaks } from './batch.js';
import { BusyRetry } from './busy-retry.js';
import { noticeOf } from './demonstration.js';

/** A model server that is full says so within this time; only then an answer counts as begun. */
const startAfterMs = 100;

/** Where an answer goes. */
export interface Sink {
  /** A promise holds the agent back. */
  write(batch: Batch): void | Promise<void>;
}

/** What all requests share. */
export interface QueenState {
  readonly agents: ReadonlyRegistry<Agent>;
  readonly bus: EventBus;
  readonly answers: Answers;
  readonly busyTimeoutMs: number;
  /** Those that wait for an agent with a full queue. */
  readonly waiting: Map<string, number>;
  spoke(agent: Agent): void;
  failed(agent: Agent, failure: unknown): void;
}

/** One request, which is put to one agent after the other until one of them speaks. */
export class Asking {
  readonly #state: QueenState;
  readonly #request: ChatRequest;
  readonly #call: AgentCall;
  readonly #sink: Sink;
  readonly #beforeEnd: ((last: Batch) => Promise<void>) | undefined;
  /** Who was said to answer last. */
  #announced: Agent | undefined;
  #asked = 0;
  /** An agent has said something: nobody else is asked. */
  spoken = false;
  /** What is said goes out as one piece at the end. */
  isHeldBack = false;
  /** The tools that the client is to run. */
  readonly calls: ToolCall[] = [];

  constructor(
    state: QueenState,
    request: ChatRequest,
    call: AgentCall,
    sink: Sink,
    beforeEnd: ((last: Batch) => Promise<void>) | undefined,
  ) {
    this.#state = state;
    this.#request = request;
    this.#call = call;
    this.#sink = sink;
    this.#beforeEnd = beforeEnd;
  }

  /** Asks an agent until it has given its whole answer; a full one for a while again. @throws why it has not */
  async put(agent: Agent, isDemonstration: boolean): Promise<void> {
    const { busyTimeoutMs } = this.#state;
    const { signal, timeoutMs = Number.POSITIVE_INFINITY } = this.#call;
    const retry = new BusyRetry(Math.min(busyTimeoutMs, timeoutMs / 2));
    const isFallback = this.#asked++ > 0;
    for (;;)
      try {
        return await this.#once(agent, isFallback, isDemonstration);
      } catch (failure) {
        if (this.spoken || signal.aborted) throw failure;
        const waitMs = retry.waitMs(failure);
        if (waitMs === undefined) {
          // A full one has not begun.
          if (!isBusy(failure)) await this.#announce(agent);
          throw failure;
        }
        this.#call.logger.debug({ agent: agent.name, waitMs }, 'busy; asked again');
        await this.#wait(agent.name, waitMs);
      }
  }

  // One loop and no generator: each layer of those costs every token a promise or two.
  async #once(agent: Agent, isFallback: boolean, isDemonstration: boolean): Promise<void> {
    const { agents, bus, answers } = this.#state;
    const { name } = agent;
    const attempt = new Attempt(bus, this.#request, agent, isFallback);
    const { headers } = attempt;
    let atSink = false;
    const answer = answers.begin(agent, this.#call.signal);
    const { signal } = answer;
    if (agents.find(name) !== agent) answer.stop();
    const timer = setTimeout(() => void this.#announce(agent).catch(() => {}), startAfterMs);
    try {
      await answer.given(async () => {
        checkContent(agent, this.#request);
        for await (const pulled of agent.generateResponseStream(this.#request, {
          ...this.#call,
          signal,
          headers,
        })) {
          let chunks: Batch = checkedChunks(pulled, name, this.calls);
          if (answer.isOver) return;
          if (chunks.length === 0) continue;
          const whole = isWhole(chunks);
          if (!this.spoken) {
            if (!speaks(chunks)) {
              if (!whole) continue;
              throw new WaggleError('AGENT_FAILED', { agent: name, why: 'it ended without saying anything' });
            }
            this.spoken = true;
            clearTimeout(timer);
            this.#state.spoke(agent);
            atSink = true;
            await this.#announce(agent);
            atSink = false;
            if (isDemonstration) chunks = [noticeOf(agent, this.#request), ...chunks];
          }
          if (whole) {
            answer.complete();
            attempt.answered(chunks);
            await this.#beforeEnd?.(chunks);
          }
          atSink = true;
          const written = this.#sink.write(chunks);
          if (written) await written;
          atSink = false;
          if (whole) return;
        }
        throw new WaggleError('AGENT_DISCONNECTED', { agent: name, why: 'it ended without "done"' });
      });
    } catch (error) {
      const failure = answer.failure ?? failureOf(agent, error);
      // Stopped, or nobody takes it any more.
      if (this.#call.signal.aborted || atSink) attempt.cancelled();
      else {
        attempt.failed(failure);
        this.#state.failed(agent, failure);
      }
      throw failure;
    } finally {
      clearTimeout(timer);
    }
  }

  async #announce(agent: Agent): Promise<void> {
    if (this.#announced === agent) return;
    const fallback = this.#announced !== undefined;
    this.#announced = agent;
    this.isHeldBack = fallback;
    await this.#sink.write([{ type: 'agent', agent: agent.name, fallback }]);
  }

  async #wait(name: string, waitMs: number): Promise<void> {
    const { waiting } = this.#state;
    const before = waiting.get(name) ?? 0;
    waiting.set(name, before + 1);
    try {
      // Whoever has the place that is waited for is before it, too.
      if (!this.#announced) await this.#sink.write([{ type: 'queued', ahead: before + 1 }]);
      await delay(waitMs, undefined, { signal: this.#call.signal });
    } finally {
      const left = (waiting.get(name) ?? 1) - 1;
      if (left > 0) waiting.set(name, left);
      else waiting.delete(name);
    }
  }
}

/** What a third party's agent throws may hold anything; only errors of the catalogue go to the client as they are. */
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
