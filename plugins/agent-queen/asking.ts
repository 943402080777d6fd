import { setTimeout as delay } from 'node:timers/promises';
import {
  type Agent,
  type AgentChosen,
  type AnswerOrigin,
  type CallContext,
  type ChatMessage,
  type ChatRequest,
  type EventBus,
  messageOf,
  type ReadonlyRegistry,
  type ToolCall,
  WaggleError,
} from '#kernel';
import { cancellationOf, checkContent, isBusy } from '#sdk';
import type { Answer, Answers } from './answers.js';
import { Attempt } from './attempt.js';
import {
  asTruncated,
  type Batch,
  checkedChunks,
  type Done,
  doneIn,
  endsAnswer,
  hasContent,
} from './batch.js';
import { BusyRetry } from './busy-retry.js';
import type { Contexts } from './contexts.js';
import { noticeOf } from './demonstration.js';
import type { Expense } from './expense.js';
import type { Fitted } from './fitted.js';
import type { Mutable } from './mutable.js';
import { type Position, QueenCall, type Ways } from './queen-call.js';
import { ToolLoop } from './tool-loop.js';
import type { ToolLoops } from './tool-loops.js';
import type { Toolbox } from './toolbox.js';
import type { Transcript } from './transcript.js';

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
  readonly ways: Ways;
  readonly loops: ToolLoops;
  readonly contexts: Contexts;
  spoke(agent: Agent): void;
  failed(agent: Agent, failure: unknown): void;
}

/** An answer's place in its reply, and work that belongs to its end. */
export interface AskingOptions {
  /** `agent` is that of the request; each one that is asked has its own. */
  readonly position: Position;
  /** Comes before the conversation, but for specialists; none when empty. */
  readonly systemPrompt?: string | undefined;
  /** Settled with the last chunk; by the caller where there is none. */
  readonly expense?: Expense | undefined;
  /** Called before the last chunks are written. */
  readonly beforeEnd?: (last: Batch) => Promise<void>;
}

/** How one agent is asked. */
interface How {
  /** Whether it has the conversation, or a route has chosen it: then it speaks for itself. */
  readonly isSpecialist?: boolean | undefined;
  /** Whether another agent can take the request, so that a busy one is not asked again. */
  readonly hasPeer?: boolean | undefined;
  readonly isDemonstration?: boolean | undefined;
  /** Its tools; without them its calls are those of the client's tools, and end the answer. */
  readonly toolbox?: Toolbox | undefined;
}

/** One request, sent to one agent after another until one has a first token. */
export class Asking {
  readonly #state: QueenState;
  readonly #request: ChatRequest;
  readonly #call: CallContext;
  readonly #sink: Sink;
  readonly #expense: Expense | undefined;
  readonly #beforeEnd: AskingOptions['beforeEnd'];
  readonly #position: Position;
  readonly #prompted: ChatRequest;
  /** The agent of the last `agent` event to the client. */
  #announced: Agent | undefined;
  #asked = 0;
  /** Announces an agent that takes its time. */
  #late: NodeJS.Timeout | undefined;
  /** The request as its agent got it. */
  #fitted: Fitted | undefined;
  /** The request that its model server has refused as too long. */
  #refused: Fitted | undefined;
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
    call: CallContext,
    sink: Sink,
    { expense, beforeEnd, position, systemPrompt }: AskingOptions,
  ) {
    this.#state = state;
    this.#request = request;
    this.#call = call;
    this.#sink = sink;
    this.#expense = expense;
    this.#beforeEnd = beforeEnd;
    this.#position = position;
    this.#prompted = systemPrompt
      ? { ...request, messages: [{ role: 'system' as const, content: systemPrompt }, ...request.messages] }
      : request;
  }

  /** Its rounds of tools. */
  get transcript(): Transcript | undefined {
    return this.#position.transcript;
  }

  /** The first message of the running turn; undefined where no conversation is stored. */
  get question(): ChatMessage | undefined {
    return this.#position.run.question;
  }

  /** Whether the client has tools, and answers calls of them. */
  get awaitsToolResults(): boolean {
    const { awaitsToolResults, clientTools } = this.#position.run;
    return awaitsToolResults && clientTools.size > 0;
  }

  /** The agent that answers, with what the end of its answer tells; undefined before any has begun. */
  originOf({ model, usage }: Partial<Done> = {}): AnswerOrigin | undefined {
    const agent = this.transcript?.by.agent ?? this.#announced?.name;
    if (agent === undefined) return undefined;
    const origin: Mutable<AnswerOrigin> = { agent };
    if (model) origin.model = model;
    if (usage) origin.usage = usage;
    return origin;
  }

  /** Asks an agent for a complete answer; retries a busy one for a while. @throws the agent's failure */
  async put(agent: Agent, how: How = {}): Promise<void> {
    const { agents, bus, answers, busyTimeoutMs } = this.#state;
    const { timeoutMs = Number.POSITIVE_INFINITY } = this.#call;
    const untilMs = performance.now() + Math.min(busyTimeoutMs, timeoutMs / 2);
    let retry: BusyRetry | undefined;
    const isFallback = this.#asked++ > 0;
    this.#refused = undefined;
    for (;;) {
      const attempt = new Attempt(bus, this.#request, agent, isFallback, this.#position.attempt);
      const answer = answers.begin(agent, this.#call);
      if (agents.find(agent.name) !== agent) answer.stop();
      this.#late = setTimeout(() => void this.#announceLate(agent), startAfterMs);
      let failure: unknown;
      try {
        return await answer.run(this.#pull(agent, answer, attempt, how));
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
      if (this.#fitted && this.#state.contexts.isForAnother(this.#fitted, failure)) {
        this.#refused = this.#fitted;
        continue;
      }
      retry ??= new BusyRetry(untilMs - performance.now());
      const waitMs = how.hasPeer ? undefined : retry.waitMs(failure);
      if (waitMs === undefined) {
        // A busy agent has not begun.
        if (!isBusy(failure)) await this.announce(agent);
        throw failure;
      }
      this.#call.logger.debug({ agent: agent.name, waitMs }, 'busy; asked again');
      await this.#wait(agent.name, waitMs);
    }
  }

  /** Writes one answer to the sink. One loop instead of generators, each of which would cost a promise or two per token. */
  async #pull(agent: Agent, answer: Answer, attempt: Attempt, how: How): Promise<void> {
    this.#isWriting = false;
    const { name } = agent;
    const asked = how.isSpecialist ? this.#request : this.#prompted;
    checkContent(agent, asked);
    this.#expense?.begins();
    const { timeoutMs, userId, connection } = this.#call;
    const { ways, loops, contexts } = this.#state;
    const { run, request, transcript, depth, relays } = this.#position;
    const position: Position = {
      run,
      agent: name,
      request,
      transcript,
      attempt: attempt.number,
      depth,
      relays,
    };
    const context = { headers: attempt.headers, timeoutMs, userId, connection };
    const call = new QueenCall(answer, context, ways, position);
    // A closure here would hold the whole answer until the next major collection.
    const loop = how.toolbox && new ToolLoop(loops, { from: position, call, ways }, how.toolbox);
    this.#fitted = undefined;
    if (depth + relays === 0) run.isAnsweredBy(agent, this);
    const ended = run.began('agent', name);
    try {
      const fitting = loop ? undefined : contexts.fit(agent, asked, call, run.question, this.#refused);
      const fitted = fitting instanceof Promise ? await fitting : fitting;
      this.#fitted = fitted;
      if (fitted && depth === 0) run.gets(name, fitted);
      const stream = loop
        ? loop.answerOf(agent, asked)
        : agent.generateResponseStream(fitted?.request ?? asked, call);
      for await (const pulled of stream) {
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
          const told = this.announce(agent);
          if (told) await told;
          this.#isWriting = false;
          if (how.isDemonstration) chunks = [noticeOf(agent, this.#request), ...chunks];
        }
        if (isLast) {
          answer.complete();
          if (fitted) {
            const isLess = contexts.learn(fitted, doneIn(chunks));
            if (isLess || (depth === 0 && run.isUntold(fitted.report))) chunks = asTruncated(chunks);
          }
          attempt.answered(chunks, position.hasRelayed ? null : loop?.usage);
          this.#expense?.settle();
          if (this.#beforeEnd) await this.#beforeEnd(chunks);
        }
        this.#isWriting = true;
        const written = this.#sink.write(chunks);
        if (written) await written;
        this.#isWriting = false;
        if (isLast) return;
      }
    } finally {
      ended();
      // It may have left others behind, whose answers are not wanted any more.
      for (const stop of position.children ?? []) stop();
    }
    throw new WaggleError('AGENT_DISCONNECTED', { agent: name, why: 'it ended without "done"' });
  }

  /** Tells the reader which agent answers; once for each. */
  announce(agent: Agent): void | Promise<void> {
    if (this.#announced === agent) return;
    const fallback = this.#announced !== undefined;
    this.#announced = agent;
    this.isHeldBack = fallback;
    const chosen: Mutable<AgentChosen> = { type: 'agent', agent: agent.name, fallback };
    const context = this.#position.run.tellContext();
    if (context) chosen.context = context;
    return this.#sink.write([chosen]);
  }

  /** Announces an agent that takes its time. */
  async #announceLate(agent: Agent): Promise<void> {
    try {
      await this.announce(agent);
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
export function failureOf(agent: Agent, error: unknown): unknown {
  if (error instanceof Error && error.name === 'WaggleError') return error;
  return new WaggleError(
    'AGENT_FAILED',
    { agent: agent.name, why: 'it threw an error' },
    {
      cause: error instanceof Error ? error : new Error(messageOf(error)),
    },
  );
}
