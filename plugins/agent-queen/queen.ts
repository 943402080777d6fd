import { inject, injectable } from 'tsyringe';
import {
  type Agent,
  type AgentCall,
  type AgentHealth,
  type AgentStatus,
  type AgentTakes,
  type Chat,
  type ChatCommand,
  type ChatOptions,
  type ChatRequest,
  type ChatSink,
  ConversationStore,
  createToken,
  type EventBus,
  type ReadonlyRegistry,
  type StreamChunk,
  type TurnEnd,
  WaggleError,
} from '#kernel';
import { cancellationOf, isUnreachable } from '#sdk';
import { Answers } from './answers.js';
import { Asking, type AskingEnds, type QueenState, type Sink } from './asking.js';
import { type Batch, textIn } from './batch.js';
import type { Config } from './config.js';
import { inContext } from './context.js';
import { Demonstration } from './demonstration.js';
import type { Expense } from './expense.js';
import { isFault, isForTheNext, isRefusal, needsOf, withoutDetails } from './failures.js';
import { HealthBoard } from './health-board.js';
import type { TokenBudget } from './token-budget.js';
import { turnOf } from './turn.js';
import { TurnMemory } from './turn-memory.js';

export const QueenConfig = createToken<Config>('queen.config');
export const Agents = createToken<ReadonlyRegistry<Agent>>('queen.agents');
export const QueenBus = createToken<EventBus>('queen.bus');
/** Absent without a plugin that counts usage. */
export const QueenBudget = createToken<TokenBudget | undefined>('queen.budget');

/**
 * Owns the conversations, chooses the agent, and asks the next candidate when one fails before its first token. Created
 * through the container, as the worked example of injection in this package.
 */
@injectable()
export class Queen implements Agent, Chat, QueenState {
  readonly name = 'queen';
  readonly description = 'Remembers the conversation and lets the first healthy agent answer';
  readonly #config: Config;
  readonly #store: ConversationStore;
  readonly #budget: TokenBudget | undefined;
  readonly #health: HealthBoard;
  readonly #demonstration = new Demonstration();
  readonly agents: ReadonlyRegistry<Agent>;
  readonly bus: EventBus;
  /** Answers that are being pulled from agents. */
  readonly answers: Answers;
  readonly busyTimeoutMs: number;
  readonly waiting = new Map<string, number>();

  constructor(
    @inject(QueenConfig) config: Config,
    @inject(Agents) agents: ReadonlyRegistry<Agent>,
    @inject(ConversationStore) store: ConversationStore,
    @inject(QueenBus) bus: EventBus,
    @inject(QueenBudget) budget?: TokenBudget,
  ) {
    this.#config = config;
    this.agents = agents;
    this.#store = store;
    this.#budget = budget;
    this.bus = bus;
    this.busyTimeoutMs = config.busyTimeoutMs;
    this.#health = new HealthBoard(config.healthTtlMs, config.healthTimeoutMs);
    this.answers = new Answers(config.unregisterGraceMs, (agent) => this.#health.forget(agent));
  }

  /** @throws AGENT_UNKNOWN, BUDGET_EXCEEDED, or the failure of the last candidate */
  async reply(
    command: ChatCommand & { readonly id: string; readonly conversationId: string },
    call: AgentCall,
    sink: ChatSink,
  ): Promise<void> {
    const { id, userId, conversationId, agent, model, options, metadata, stateless, demo, principal } =
      command;
    const key = { userId, conversationId };
    const turn = turnOf(command);
    const { contextMessages } = this.#config;
    const history = stateless ? [] : await this.#store.read(key, contextMessages);
    const messages = stateless ? turn : inContext(history, turn, contextMessages);
    let request: ChatRequest = {
      ...{ id, userId, conversationId, messages },
      ...(model && { model }),
      ...(options && { options }),
      ...(metadata && { metadata }),
    };
    let expense: Expense | undefined;
    if (principal && this.#budget?.isFor(principal)) {
      const budgeted = await this.#budget.reserve(principal, request);
      if (budgeted) ({ request, expense } = budgeted);
    }
    const whom = { agent, demo };
    if (stateless) {
      const asked = this.#ask(this.#asking(request, call, sink, { expense }), request, whom, call);
      return expense ? asked.finally(() => expense?.settle()) : asked;
    }
    const memory = new TurnMemory(this.#store, key, turn, call);
    // Stored before the client can send the next message.
    const asking = this.#asking(request, call, sink, {
      expense,
      beforeEnd: (last) => memory.keep({ text: sink.text + textIn(last), toolCalls: asking.calls }),
    });
    let end: TurnEnd | undefined;
    try {
      await this.#ask(asking, request, whom, call);
    } catch (error) {
      if (!WaggleError.is(error, 'AGENT_UNKNOWN')) end = isRefusal(error) ? 'refused' : 'failed';
      throw error;
    } finally {
      expense?.settle();
      // Cancelled or cut off: only the text that the client has received counts.
      if (cancellationOf(call).isAborted())
        end = call.signal.reason instanceof WaggleError ? 'failed' : 'cancelled';
      const text = asking.isHeldBack ? '' : sink.text;
      if (end) await memory.keep({ text, toolCalls: text === '' ? [] : asking.calls, end });
    }
  }

  /** Answers without the store: the request carries the whole conversation. */
  async *generateResponseStream(
    request: ChatRequest,
    call: AgentCall,
  ): AsyncGenerator<readonly StreamChunk[]> {
    const { readable, writable } = new TransformStream<Batch, Batch>();
    const writer = writable.getWriter();
    const write = (batch: Batch) => {
      call.signal.throwIfAborted();
      return writer.write(batch);
    };
    this.#ask(this.#asking(request, call, { write }), request, {}, call)
      .then(
        () => writer.close(),
        (error: unknown) => writer.abort(error),
      )
      // The consumer has left.
      .catch(() => {});
    for await (const batch of readable)
      yield batch.filter((chunk): chunk is StreamChunk => chunk.type !== 'agent' && chunk.type !== 'queued');
  }

  health(): Promise<AgentHealth> {
    return this.#healthBy((agent) => this.#isHealthy(agent));
  }

  /** Content accepted by any candidate. The one that answers may still refuse it. */
  get takes(): AgentTakes {
    const all = this.#candidates().map(({ takes }) => takes);
    return { imageUrls: all.some((each) => each?.imageUrls), parts: all.some((each) => each?.parts) };
  }

  /** Options that the first candidate does not pass on. */
  ignores(options: ChatOptions): readonly string[] {
    const [first] = this.#candidates();
    return first?.ignores?.(options) ?? Object.keys(options.more ?? {});
  }

  async statuses(): Promise<readonly AgentStatus[]> {
    const found = new Map<Agent, AgentHealth>();
    const others = [...this.agents].filter((agent) => agent !== this);
    await Promise.all(others.map(async (agent) => found.set(agent, await this.#check(agent))));
    // The queen's own health follows from these fresh results, not from older cached ones.
    found.set(this, await this.#healthBy((agent) => found.get(agent)?.healthy ?? false));
    return [...this.agents].flatMap((agent) => {
      const health = found.get(agent);
      const { name, description, demo } = agent;
      if (!health) return [];
      const isNamedOnly = demo && this.#demonstration.isOver;
      return {
        name,
        ...(description && { description }),
        ...(demo && { demo }),
        ...(isNamedOnly && { namedOnly: true }),
        ...health,
      };
    });
  }

  async #healthBy(isHealthy: (agent: Agent) => boolean | Promise<boolean>): Promise<AgentHealth> {
    for (const agent of this.#candidates())
      if (!(agent.demo && this.#demonstration.isOver) && (await isHealthy(agent))) return { healthy: true };
    return { healthy: false, detail: 'no candidate is healthy' };
  }

  #asking(request: ChatRequest, call: AgentCall, sink: Sink, ends: AskingEnds = {}): Asking {
    const { systemPrompt } = this.#config;
    const prompted = systemPrompt
      ? { ...request, messages: [{ role: 'system' as const, content: systemPrompt }, ...request.messages] }
      : request;
    return new Asking(this, prompted, call, sink, ends);
  }

  /** @throws the failure as the client may see it */
  #ask(asking: Asking, request: ChatRequest, whom: Whom, call: AgentCall): Promise<void> {
    const asked = this.#askEach(asking, request, whom, call);
    if (this.#config.tellFaults) return asked;
    return asked.catch((failure: unknown) => {
      if (cancellationOf(call).isAborted()) throw failure;
      const shown = withoutDetails(failure, request.id.slice(0, 6));
      if (shown !== failure) call.logger.warn({ err: failure }, 'failed; the client does not see the reason');
      throw shown;
    });
  }

  async #askEach(asking: Asking, request: ChatRequest, whom: Whom, call: AgentCall): Promise<void> {
    const isNamed = whom.agent !== undefined && whom.agent !== this.name;
    const mayDemonstrate = () => whom.demo !== false && this.#demonstration.mayAnswer(request);
    let failure: unknown;
    const route = this.#route(whom.agent, mayDemonstrate());
    for (const { name } of route instanceof Promise ? await route : route) {
      const agent = this.agents.find(name);
      const isDemonstration = !isNamed && agent?.demo === true;
      if (isDemonstration && !mayDemonstrate()) continue;
      if (failure !== undefined && agent)
        call.logger.warn({ err: failure, next: name }, 'failed before its first token; asking the next one');
      try {
        // It may have been unregistered meanwhile.
        if (!agent) throw this.#unknown(name);
        refuse(agent, request);
        return await asking.put(agent, isDemonstration);
      } catch (error) {
        if (asking.spoken || cancellationOf(call).isAborted() || !(isForTheNext(error) || !agent))
          throw error;
        // An agent that was unregistered meanwhile is a worse reason than the failure before it.
        if (agent || failure === undefined) failure = error;
      }
    }
    throw failure ?? this.#noCandidate();
  }

  /** The agents to ask, in order; at once where the first is known to be healthy. A named agent has no fallback. */
  #route(named: string | undefined, mayDemonstrate: boolean): readonly Agent[] | Promise<readonly Agent[]> {
    if (named !== undefined && named !== this.name) {
      const agent = this.agents.find(named);
      if (agent) return [agent];
      throw this.#unknown(named);
    }
    const all = this.#candidates();
    const candidates = mayDemonstrate ? all : all.filter(({ demo }) => !demo);
    const [first] = candidates;
    return first && this.#health.isKnownHealthy(first) ? candidates : this.#healthy(candidates);
  }

  /** The candidates from the first healthy one on; all of them where none is, because an answer counts more than a check. */
  async #healthy(candidates: readonly Agent[]): Promise<readonly Agent[]> {
    for (const [index, agent] of candidates.entries())
      if (await this.#isHealthy(agent)) return candidates.slice(index);
    return candidates;
  }

  async #check(agent: Agent): Promise<AgentHealth> {
    const health = await this.#health.check(agent);
    if (health.healthy) this.#reached(agent);
    return health;
  }

  async #isHealthy(agent: Agent): Promise<boolean> {
    const isHealthy = await this.#health.isHealthy(agent);
    if (isHealthy) this.#reached(agent);
    return isHealthy;
  }

  spoke(agent: Agent): void {
    this.#health.confirm(agent);
    this.#reached(agent);
  }

  #reached(agent: Agent): void {
    if (!this.#demonstration.isOver && this.#candidates().includes(agent)) this.#demonstration.reached(agent);
  }

  failed(agent: Agent, failure: unknown): void {
    if (!isUnreachable(failure)) this.#reached(agent);
    if (isFault(failure)) this.#health.doubt(agent);
  }

  #noCandidate(): WaggleError {
    return new WaggleError('AGENT_UNAVAILABLE', {
      agent: this.name,
      why: `none of ${this.#config.candidates.join(', ')} may answer this; start a model server, or name an agent`,
      retryAfterMs: this.#config.healthTtlMs,
    });
  }

  #unknown(agent: string): WaggleError {
    return new WaggleError('AGENT_UNKNOWN', { agent, known: [...this.agents].map((each) => each.name) });
  }

  #candidates(): readonly Agent[] {
    const found: Agent[] = [];
    for (const name of this.#config.candidates) {
      const agent = name === this.name ? undefined : this.agents.find(name);
      if (agent) found.push(agent);
    }
    return found;
  }
}

type Whom = Pick<ChatCommand, 'agent' | 'demo'>;

/** Refuses a request that needs a missing capability. @throws AGENT_FAILED */
function refuse({ name: agent, capabilities }: Agent, request: ChatRequest): void {
  const lacks = capabilities && needsOf(request).find((need) => !capabilities.includes(need));
  if (lacks)
    throw new WaggleError('AGENT_FAILED', { agent, why: `it takes no ${lacks}`, refused: 400, lacks });
}
