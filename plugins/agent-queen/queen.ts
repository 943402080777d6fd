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
import { isUnreachable } from '#sdk/upstream';
import { Answers } from './answers.js';
import { Asking, type QueenState, type Sink } from './asking.js';
import { type Batch, textIn } from './batch.js';
import type { Config } from './config.js';
import { inContext } from './context.js';
import { Demonstration } from './demonstration.js';
import { isFault, isForTheNext, isRefusal, needsOf, withoutDetails } from './failures.js';
import { HealthBoard } from './health-board.js';
import { turnOf } from './turn.js';
import { TurnMemory } from './turn-memory.js';

/** Her config, for injection. */
export const QueenConfig = createToken<Config>('queen.config');
/** The agents that plugins have added, for injection. */
export const Agents = createToken<ReadonlyRegistry<Agent>>('queen.agents');
/** Where she announces whom she asks, for injection. */
export const QueenBus = createToken<EventBus>('queen.bus');

/** Owns the conversations, chooses who answers, and asks the next candidate when one fails before its first token. */
@injectable()
export class Queen implements Agent, Chat, QueenState {
  readonly name = 'queen';
  readonly description = 'Remembers the conversation and lets the first healthy agent answer';
  readonly #config: Config;
  readonly #store: ConversationStore;
  readonly #health: HealthBoard;
  readonly #demonstration = new Demonstration();
  readonly agents: ReadonlyRegistry<Agent>;
  readonly bus: EventBus;
  /** What she pulls from agents now. */
  readonly answers: Answers;
  readonly busyTimeoutMs: number;
  readonly waiting = new Map<string, number>();

  constructor(
    @inject(QueenConfig) config: Config,
    @inject(Agents) agents: ReadonlyRegistry<Agent>,
    @inject(ConversationStore) store: ConversationStore,
    @inject(QueenBus) bus: EventBus,
  ) {
    this.#config = config;
    this.agents = agents;
    this.#store = store;
    this.bus = bus;
    this.busyTimeoutMs = config.busyTimeoutMs;
    this.#health = new HealthBoard(config.healthTtlMs, config.healthTimeoutMs);
    this.answers = new Answers(config.unregisterGraceMs, (agent) => this.#health.forget(agent));
  }

  /** @throws AGENT_UNKNOWN, and what the agent throws when there is nobody left to ask */
  async reply(
    command: ChatCommand & { readonly id: string; readonly conversationId: string },
    call: AgentCall,
    sink: ChatSink,
  ): Promise<void> {
    const { id, userId, conversationId, agent, model, options, stateless, demo } = command;
    const key = { userId, conversationId };
    const turn = turnOf(command);
    const { contextMessages } = this.#config;
    const history = stateless ? [] : await this.#store.read(key, contextMessages);
    const messages = stateless ? turn : inContext(history, turn, contextMessages);
    const request = { id, messages, ...(model && { model }), ...(options && { options }) };
    const whom = { agent, demo };
    if (stateless) return this.#ask(this.#asking(request, call, sink), request, whom, call);
    const memory = new TurnMemory(this.#store, key, turn, call.logger);
    // Before the client can ask the next question.
    const asking = this.#asking(request, call, sink, (last) =>
      memory.keep({ text: sink.text + textIn(last), toolCalls: asking.calls }),
    );
    let end: TurnEnd | undefined;
    try {
      await this.#ask(asking, request, whom, call);
    } catch (error) {
      if (!WaggleError.is(error, 'AGENT_UNKNOWN')) end = isRefusal(error) ? 'refused' : 'failed';
      throw error;
    } finally {
      // Cancelled or cut off: of the answer only what the client has got was said.
      if (call.signal.aborted) end = call.signal.reason instanceof WaggleError ? 'failed' : 'cancelled';
      const text = asking.isHeldBack ? '' : sink.text;
      if (end) await memory.keep({ text, toolCalls: text === '' ? [] : asking.calls, end });
    }
  }

  /** Answers without a memory of her own: the request carries all that was said. */
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
      // Whoever pulls has left.
      .catch(() => {});
    for await (const batch of readable)
      yield batch.filter((chunk): chunk is StreamChunk => chunk.type !== 'agent' && chunk.type !== 'queued');
  }

  health(): Promise<AgentHealth> {
    return this.#healthBy((agent) => this.#isHealthy(agent));
  }

  /** Those of any candidate: who answers is not known yet, and refuses for itself. */
  get takes(): AgentTakes {
    const all = this.#candidates().map(({ takes }) => takes);
    return { imageUrls: all.some((each) => each?.imageUrls), parts: all.some((each) => each?.parts) };
  }

  /** What the first of her candidates does not pass on. */
  ignores(options: ChatOptions): readonly string[] {
    const [first] = this.#candidates();
    return first?.ignores?.(options) ?? Object.keys(options.more ?? {});
  }

  async statuses(): Promise<readonly AgentStatus[]> {
    const found = new Map<Agent, AgentHealth>();
    const others = [...this.agents].filter((agent) => agent !== this);
    await Promise.all(others.map(async (agent) => found.set(agent, await this.#check(agent))));
    // Her own follows from theirs: what she believes of them may be older.
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
    return { healthy: false, detail: 'none of her candidates is healthy' };
  }

  #asking(
    request: ChatRequest,
    call: AgentCall,
    sink: Sink,
    beforeEnd?: (last: Batch) => Promise<void>,
  ): Asking {
    const { systemPrompt } = this.#config;
    const prompted = systemPrompt
      ? { ...request, messages: [{ role: 'system' as const, content: systemPrompt }, ...request.messages] }
      : request;
    return new Asking(this, prompted, call, sink, beforeEnd);
  }

  /** @throws why there is no answer, as the client may read it */
  async #ask(asking: Asking, request: ChatRequest, whom: Whom, call: AgentCall): Promise<void> {
    const { tellFaults } = this.#config;
    try {
      await this.#askEach(asking, request, whom, call);
    } catch (failure) {
      if (tellFaults || call.signal.aborted) throw failure;
      const told = withoutDetails(failure, request.id.slice(0, 6));
      if (told !== failure)
        call.logger.warn({ err: failure }, 'failed for a reason that the client is not told');
      throw told;
    }
  }

  async #askEach(asking: Asking, request: ChatRequest, whom: Whom, call: AgentCall): Promise<void> {
    const isNamed = whom.agent !== undefined && whom.agent !== this.name;
    const mayDemonstrate = () => whom.demo !== false && this.#demonstration.mayAnswer(request);
    let failure: unknown;
    for (const name of await this.#route(whom.agent, mayDemonstrate())) {
      const agent = this.agents.find(name);
      const isDemonstration = !isNamed && agent?.demo === true;
      if (isDemonstration && !mayDemonstrate()) continue;
      if (failure !== undefined && agent)
        call.logger.warn({ err: failure, next: name }, 'failed before its first token; asking the next one');
      try {
        // One may have left meanwhile.
        if (!agent) throw this.#unknown(name);
        refuse(agent, request);
        return await asking.put(agent, isDemonstration);
      } catch (error) {
        if (asking.spoken || call.signal.aborted || !(isForTheNext(error) || !agent)) throw error;
        // Whom nobody knows any more says less than the one before.
        if (agent || failure === undefined) failure = error;
      }
    }
    throw failure ?? this.#nobody();
  }

  /** The names of the agents to ask, in order. Who is asked for by name is asked alone. */
  async #route(named: string | undefined, mayDemonstrate: boolean): Promise<readonly string[]> {
    if (named !== undefined && named !== this.name) {
      if (this.agents.find(named)) return [named];
      throw this.#unknown(named);
    }
    const candidates = this.#candidates().filter(({ demo }) => !demo || mayDemonstrate);
    const names = candidates.map(({ name }) => name);
    for (const [index, agent] of candidates.entries())
      if (await this.#isHealthy(agent)) return names.slice(index);
    // The health of an agent says less than its answer.
    return names;
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
    if (this.#candidates().includes(agent)) this.#demonstration.reached(agent);
  }

  failed(agent: Agent, failure: unknown): void {
    if (!isUnreachable(failure)) this.#reached(agent);
    if (isFault(failure)) this.#health.doubt(agent);
  }

  #nobody(): WaggleError {
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
    const others = this.#config.candidates.filter((name) => name !== this.name);
    return others.flatMap((name) => this.agents.find(name) ?? []);
  }
}

/** Who is to answer. */
type Whom = Pick<ChatCommand, 'agent' | 'demo'>;

/** What an agent cannot do is not dropped without a word. @throws AGENT_FAILED */
function refuse({ name: agent, capabilities }: Agent, request: ChatRequest): void {
  const lacks = capabilities && needsOf(request).find((need) => !capabilities.includes(need));
  if (lacks)
    throw new WaggleError('AGENT_FAILED', { agent, why: `it takes no ${lacks}`, refused: 400, lacks });
}
