import {
  type Agent,
  type ChatChunk,
  type ChatMessage,
  type ChatRequest,
  type ChatSink,
  type ContextReport,
  type Principal,
  type ToolCall,
  WaggleError,
} from '#kernel';
import { newCallId } from '#sdk';
import type { Fitted } from './fitted.js';
import type { LeftOut } from './summaries.js';

/** Agents of one reply that others may ask. */
const delegationLimit = 100;

const none: ReadonlySet<string> = new Set();

/** Tells the reader once which agent answers. */
interface Announcer {
  announce(agent: Agent): void | Promise<void>;
}

/** The part of a reply's destination that tools use. */
export type StepSink = Pick<ChatSink, 'write' | 'answerTo' | 'began'>;

/** One reply, as all agents and tools share it that work for it. */
export class ReplyRun {
  readonly sink: StepSink | undefined;
  /** Names of the client's own tools. */
  readonly clientTools: ReadonlySet<string>;
  /** Whether it answers their calls within the reply. */
  readonly awaitsToolResults: boolean;
  readonly principal: Principal | undefined;
  /** Reserves the tokens of one more request; the result gives them back. @throws BUDGET_EXCEEDED */
  readonly reserve: ((request: ChatRequest) => Promise<() => void>) | undefined;
  /** The first message of its running turn; undefined where no conversation is stored. */
  readonly question: ChatMessage | undefined;
  /** The part of the conversation that the answering agent gets. */
  context: ContextReport | undefined;
  /** The turns that the answering agent did not get, where they are to be summarised. */
  leftOut: Pick<LeftOut, 'agent' | 'model' | 'messages' | 'window'> | undefined;
  /** That as the reader was told. */
  #told: ContextReport | undefined;
  #agent: Agent | undefined;
  #announcer: Announcer | undefined;
  #delegations = 0;
  // Made when it is needed: most answers call no tool.
  #callIds: Set<string> | undefined;

  constructor(
    rest: {
      readonly [Key in 'sink' | 'clientTools' | 'awaitsToolResults' | 'principal' | 'reserve' | 'question']?:
        | ReplyRun[Key]
        | undefined;
    } = {},
  ) {
    this.sink = rest.sink;
    this.clientTools = rest.clientTools ?? none;
    this.awaitsToolResults = rest.awaitsToolResults ?? false;
    this.principal = rest.principal;
    this.reserve = rest.reserve;
    this.question = rest.question;
  }

  /** Names the agent that answers: it is announced before any step. */
  isAnsweredBy(agent: Agent, announcer: Announcer): void {
    this.#agent = agent;
    this.#announcer = announcer;
  }

  /** Notes what an agent gets of the conversation. */
  gets(agent: string, { report, leftOut, window, request: { model } }: Fitted): void {
    this.context = report;
    this.leftOut = leftOut && { agent, model, messages: leftOut, window: window?.tokens };
  }

  /** The part of the conversation to tell the reader of, with the agent. */
  tellContext(): ContextReport | undefined {
    this.#told = this.context;
    return this.#told;
  }

  /** Whether more was left out than the reader was told. */
  isUntold(context: ContextReport | undefined): boolean {
    return context !== undefined && context.droppedMessages > (this.#told?.droppedMessages ?? 0);
  }

  /** Writes a step besides the answer's content. */
  write(chunk: ChatChunk): void {
    if (this.#agent) void this.#announcer?.announce(this.#agent);
    this.sink?.write([chunk]);
  }

  /** Tells of work that a cancel has to stop; the result tells of its end. */
  began(kind: 'agent' | 'tool', name: string): (hasStopped?: boolean) => void {
    return this.sink?.began?.(kind, name) ?? (() => {});
  }

  /** The id of a call, or another one where the reply has that already. */
  uniqueId(id: string): string {
    this.#callIds ??= new Set();
    const unique = this.#callIds.has(id) ? newCallId() : id;
    this.#callIds.add(unique);
    return unique;
  }

  /** Whether another agent of the reply waits for the result of a call, which only passes by. */
  isAwaited({ id, executor }: ToolCall): boolean {
    return executor === 'server' || (executor === 'client' && this.#callIds?.has(id) === true);
  }

  /** Counts an agent that is asked by another one. @throws DELEGATION_LIMIT */
  countDelegation(agent: string): void {
    if (++this.#delegations > delegationLimit)
      throw new WaggleError('DELEGATION_LIMIT', { agent, limit: delegationLimit, what: 'agents' });
  }
}
