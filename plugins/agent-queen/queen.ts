import { inject, injectable } from 'tsyringe';
import {
  type Agent,
  type AgentCall,
  type AgentHealth,
  type AgentResponse,
  type AgentStatus,
  type AgentTakes,
  type CallContext,
  type Capability,
  type Chat,
  type ChatCommand,
  type ChatMessage,
  type ChatOptions,
  type ChatRequest,
  type ChatSink,
  type ContextWindow,
  ConversationStore,
  createToken,
  type EmbedCommand,
  type Embeddings,
  type EventBus,
  embedInputLimit,
  type Principal,
  type ReadonlyRegistry,
  type StreamChunk,
  type TaskDefinition,
  type TaskEngine,
  type TurnEnd,
  toClientError,
  WaggleError,
} from '#kernel';
import { cancellationOf, checkInputs, isUnreachable, lacksEmbeddings } from '#sdk';
import { Answers } from './answers.js';
import type { Aside, AsideTask } from './aside-task.js';
import { Asking, type QueenState } from './asking.js';
import { type Batch, doneIn, textIn } from './batch.js';
import { Candidates } from './candidates.js';
import { contentOf } from './collected.js';
import type { Config } from './config.js';
import { inContext, latestFrom, ownerOf, withoutFirst } from './context.js';
import { Contexts } from './contexts.js';
import { Delegations } from './delegations.js';
import { Demonstration } from './demonstration.js';
import { Embedding } from './embedding.js';
import type { Expense } from './expense.js';
import { isFault, isForTheNext, isRefusal, needsOf, withoutDetails } from './failures.js';
import { HealthBoard } from './health-board.js';
import { type Position, QueenCall } from './queen-call.js';
import { ReplyRun } from './reply-run.js';
import { Routes } from './routes.js';
import { Summaries } from './summaries.js';
import { titlesBy, type Untitled } from './titles.js';
import type { Budgeted, TokenBudget } from './token-budget.js';
import { ToolLoops } from './tool-loops.js';
import { isNamedBy } from './tool-name.js';
import { agentTools, Toolbox } from './toolbox.js';
import { Transcript } from './transcript.js';
import { turnOf } from './turn.js';
import { TurnMemory } from './turn-memory.js';
import { placeOf } from './versions.js';

export const QueenConfig = createToken<Config>('queen.config');
export const Agents = createToken<ReadonlyRegistry<Agent>>('queen.agents');
export const QueenBus = createToken<EventBus>('queen.bus');
export const QueenTools = createToken<QueenTools>('queen.tools');
export interface QueenTools {
  readonly tasks: Iterable<TaskDefinition>;
  /** Undefined without a plugin that runs tasks. */
  readonly engine: TaskEngine | undefined;
}
/** Absent without a plugin that counts usage. */
export const QueenBudget = createToken<TokenBudget | undefined>('queen.budget');

/** Messages of a conversation that are read: the tokens of a model's window decide how many of them it gets. */
const historyMessages = 1000;

const summaryTokens = 512;
const titleTokens = 32;

/** Limit of inputs that are turned into vectors at once, which take memory; a request counts as some at least. */
const inputsAtOnce = 4 * embedInputLimit;
const leastInputs = 32;
const embedRetryAfterMs = 1000;

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
  #candidates: Candidates;
  readonly #demonstration = new Demonstration();
  readonly agents: ReadonlyRegistry<Agent>;
  readonly bus: EventBus;
  /** Answers that are being pulled from agents. */
  readonly answers: Answers;
  readonly waiting = new Map<string, number>();
  readonly loops: ToolLoops;
  readonly ways: Delegations;
  readonly contexts: Contexts;
  /** Undefined without a plugin that runs tasks. */
  readonly summaries: Summaries | undefined;
  /** Undefined without a plugin that runs tasks. */
  readonly titles: AsideTask<Untitled, unknown> | undefined;
  #routes: Routes;
  /** Inputs that are turned into vectors now. */
  #inputs = 0;

  constructor(
    @inject(QueenConfig) config: Config,
    @inject(Agents) agents: ReadonlyRegistry<Agent>,
    @inject(ConversationStore) store: ConversationStore,
    @inject(QueenBus) bus: EventBus,
    @inject(QueenBudget) budget?: TokenBudget,
    @inject(QueenTools) tools: QueenTools = { tasks: [], engine: undefined },
  ) {
    this.#config = config;
    this.agents = agents;
    this.#store = store;
    this.#budget = budget;
    this.bus = bus;
    this.#health = new HealthBoard(config);
    this.answers = new Answers(config, agents, (agent) => this.#health.forget(agent));
    this.#candidates = new Candidates(config, this.name, agents, this.#health, this.answers);
    this.#routes = new Routes(config.routes);
    const shown = (failure: unknown) => (config.tellFaults ? failure : withoutDetails(failure));
    this.contexts = new Contexts(config);
    const toolboxOf = (agent: Agent) => this.#toolboxOf(agent, 'owner');
    this.loops = new ToolLoops(config, bus, tools, shown, toolboxOf, this.contexts);
    if (tools.engine) {
      this.summaries = new Summaries(tools.engine, (leftOut, messages, signal) =>
        this.#askAside(leftOut, messages, signal, summaryTokens),
      );
      this.contexts.summaries = this.summaries;
      this.titles = titlesBy(tools.engine, store, (untitled, messages, signal) =>
        this.#askAside(untitled, messages, signal, titleTokens),
      );
    }
    this.ways = new Delegations(this, this.loops, (position) => this.#budgeted(position));
  }

  /** Takes changed values of the config over. */
  configure(): void {
    this.#candidates = new Candidates(this.#config, this.name, this.agents, this.#health, this.answers);
    this.#routes = new Routes(this.#config.routes);
  }

  get busyTimeoutMs(): number {
    return this.#config.busyTimeoutMs;
  }

  /** @throws AGENT_UNKNOWN, BUDGET_EXCEEDED, or the failure of the last candidate */
  async reply(
    command: ChatCommand & { readonly id: string; readonly conversationId: string },
    call: CallContext,
    sink: ChatSink,
  ): Promise<void> {
    const { id, userId, conversationId, agent, model, options, metadata, stateless, demo, principal } =
      command;
    const { awaitsToolResults, replaces } = command;
    const clientTools = options?.tools && new Set(options.tools.map(({ name }) => name));
    const key = { userId, conversationId };
    const turn = turnOf(command);
    const { contextMessages, systemPrompt } = this.#config;
    const limit = Math.max(contextMessages, historyMessages);
    const place =
      replaces === undefined || stateless ? undefined : await placeOf(this.#store, key, replaces, limit);
    const history = place?.history ?? (stateless ? [] : await this.#store.read(key, limit));
    const conversation = stateless ? { messages: turn, running: undefined } : inContext(history, turn);
    const { messages, running: question } = conversation;
    let request: ChatRequest = {
      ...{ id, userId, conversationId, messages },
      ...(model && { model }),
      ...(options && { options }),
      ...(metadata && { metadata }),
    };
    let expense: Expense | undefined;
    if (principal && this.#budget?.isFor(principal)) {
      const from = question ? latestFrom(conversation, contextMessages) : 0;
      const budgeted = await this.#budget.reserve(principal, {
        ...request,
        messages: withoutFirst(messages, from),
      });
      // The window of the model that answers is not known yet: the reservation is settled by what is used.
      if (budgeted) {
        request = { ...budgeted.request, messages };
        expense = budgeted.expense;
      }
    }
    const whom = { agent, demo, owner: ownerOf(history) };
    const run = new ReplyRun({
      sink,
      clientTools,
      awaitsToolResults,
      principal,
      reserve: this.#reserveOf(principal),
      question,
    });
    const transcript = stateless ? undefined : new Transcript(sink, this.name);
    const position = { run, agent: this.name, request, transcript, depth: 0, relays: 0 };
    if (!transcript) {
      const asking = new Asking(this, request, call, sink, { expense, position, systemPrompt });
      const asked = this.#ask(asking, request, whom, call);
      return expense ? asked.finally(() => expense?.settle()) : asked;
    }
    const { keptImagesLimitChars } = this.#config;
    const replaced = replaces !== undefined && place && { from: replaces, versions: place.versions };
    const memory = new TurnMemory(this.#store, key, turn, call, keptImagesLimitChars, replaced || undefined);
    // Stored before the client can send the next message.
    const asking: Asking = new Asking(this, request, call, sink, {
      systemPrompt,
      expense,
      beforeEnd: (last) => {
        const origin = asking.originOf(doneIn(last));
        return memory.keep({ text: sink.text + textIn(last), toolCalls: asking.calls, transcript, origin });
      },
      position,
    });
    let end: TurnEnd | undefined;
    let cause: unknown;
    try {
      await this.#ask(asking, request, whom, call);
    } catch (error) {
      cause = error;
      if (!WaggleError.is(error, 'AGENT_UNKNOWN')) end = isRefusal(error) ? 'refused' : 'failed';
      throw error;
    } finally {
      expense?.settle();
      // Cancelled or cut off: only the text that the client has received counts.
      if (cancellationOf(call).isAborted()) {
        cause = call.signal.reason;
        end = cause instanceof WaggleError ? 'failed' : 'cancelled';
      }
      const text = asking.isHeldBack ? '' : sink.text;
      const toolCalls = text === '' ? [] : asking.calls;
      if (!end && run.leftOut && this.#config.summarise)
        this.summaries?.request({ ...run.leftOut, principal, request, logger: call.logger });
      if (!end && history.length === 0 && text !== '' && this.#config.titles)
        this.#name({
          ...{ agent: asking.originOf()?.agent ?? '', model, question: command.content, answer: text },
          ...{ principal, request, logger: call.logger },
        });
      if (end) {
        const { code, message } = toClientError(cause);
        const failure = end === 'failed' && { failure: { code, message } };
        await memory.keep({ text, toolCalls, transcript, origin: asking.originOf(), end, ...failure });
      }
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
    const from = QueenCall.positionOf(call);
    const position = from ?? { run: new ReplyRun(), agent: this.name, request, depth: 0, relays: 0 };
    this.#ask(
      new Asking(this, request, call, { write }, { position, systemPrompt: this.#config.systemPrompt }),
      request,
      {},
      call,
    )
      .then(
        () => writer.close(),
        (error: unknown) => writer.abort(error),
      )
      // The consumer has left.
      .catch(() => {});
    for await (const batch of readable) yield contentOf(batch);
  }

  async embed(command: EmbedCommand, call: CallContext): Promise<Embeddings & { readonly agent: string }> {
    const { principal, agent, ...request } = command;
    checkInputs(request);
    const inputs = Math.max(leastInputs, request.input.length);
    if (this.#inputs + inputs > inputsAtOnce) {
      const what = 'inputs of requests for embeddings';
      throw new WaggleError('QUEUE_FULL', { limit: inputsAtOnce, what, retryAfterMs: embedRetryAfterMs });
    }
    this.#inputs += inputs;
    let expense: Expense | undefined;
    try {
      if (principal && this.#budget?.isFor(principal))
        expense = await this.#budget.reserveEmbeddings(principal, request);
      call.signal.throwIfAborted();
      const embedding = new Embedding(this, request, call, expense);
      const made = this.#embedders(agent).then((agents) =>
        this.#askInTurn(agents, call, {
          ask: async (each) => ({ ...(await embedding.put(each)), agent: each.name }),
        }),
      );
      return await this.#shown(made, call);
    } finally {
      this.#inputs -= inputs;
      expense?.settle();
    }
  }

  /** None of its own: the agent that it asks has one. */
  contextWindow(): ContextWindow {
    return { tokens: Number.POSITIVE_INFINITY };
  }

  health(): Promise<AgentHealth> {
    return this.#healthBy((agent) => this.#isHealthy(agent));
  }

  /** Has a conversation named by the agent of its first answer. */
  #name(untitled: Untitled): void {
    const agent = this.agents.find(untitled.agent);
    if (agent && !agent.demo) this.titles?.request(untitled);
  }

  /** Asks an agent something about a conversation that is no part of it. */
  #askAside(
    { agent, model, principal, request, logger }: Aside,
    messages: readonly ChatMessage[],
    signal: AbortSignal,
    maxTokens: number,
  ): Promise<AgentResponse> {
    const position = {
      ...{ run: new ReplyRun({ principal }), agent: this.name, depth: 0, relays: 0 },
      request: { ...request, messages },
    };
    const { userId } = request;
    const context = { signal, logger, ...(userId !== undefined && { userId }) };
    const options = { maxTokens };
    return this.ways.ask(position, context, agent, { messages, model, options });
  }

  /** Content accepted by any candidate. The one that answers may still refuse it. */
  get takes(): AgentTakes {
    const all = this.#candidates.all.map(({ takes }) => takes);
    return { imageUrls: all.some((each) => each?.imageUrls), parts: all.some((each) => each?.parts) };
  }

  /** Options that the first candidate does not pass on. */
  ignores(options: ChatOptions): readonly string[] {
    const [first] = this.#candidates.all;
    return first?.ignores?.(options) ?? Object.keys(options.more ?? {});
  }

  async statuses(): Promise<readonly AgentStatus[]> {
    const candidates = this.#candidates.all;
    const listed = [...this.agents].filter((agent) => agent !== this);
    const others = [...new Set([...candidates, ...listed])];
    const health = await Promise.all(others.map((agent) => this.#check(agent)));
    // The queen's own health follows from these fresh results, not from older cached ones.
    const own = await this.#healthBy((agent) => health[others.indexOf(agent)]?.healthy ?? false);
    const all = others.map((agent, at) => this.#statusOf(agent, health[at] as AgentHealth));
    return this.agents.find(this.name) === this ? [this.#statusOf(this, own), ...all] : all;
  }

  #statusOf({ name, description, demo }: Agent, health: AgentHealth): AgentStatus {
    return {
      name,
      ...(description && { description }),
      ...(demo && { demo }),
      ...(demo && this.#demonstration.isOver && { namedOnly: true }),
      ...health,
    };
  }

  async #healthBy(isHealthy: (agent: Agent) => boolean | Promise<boolean>): Promise<AgentHealth> {
    for (const agent of this.#candidates.all)
      if (!(agent.demo && this.#demonstration.isOver) && (await isHealthy(agent))) return { healthy: true };
    return { healthy: false, detail: 'no candidate is healthy' };
  }

  /** @throws the failure as the client may see it */
  #ask(asking: Asking, request: ChatRequest, whom: Whom, call: CallContext): Promise<void> {
    return this.#shown(this.#askEach(asking, request, whom, call), call, request.id.slice(0, 6));
  }

  /** @throws the failure as the client may see it; `id` is that of the stream in the log */
  #shown<T>(asked: Promise<T>, call: CallContext, id?: string): Promise<T> {
    if (this.#config.tellFaults) return asked;
    return asked.catch((failure: unknown) => {
      if (cancellationOf(call).isAborted()) throw failure;
      const shown = withoutDetails(failure, id);
      if (shown !== failure) call.logger.warn({ err: failure }, 'failed; the client does not see the reason');
      throw shown;
    });
  }

  async #askEach(asking: Asking, request: ChatRequest, whom: Whom, call: CallContext): Promise<void> {
    const isNamed = whom.agent !== undefined && whom.agent !== this.name;
    const needs = needsOf(request, asking.question);
    const mayDemonstrate = () => whom.demo !== false && this.#demonstration.mayAnswer(needs);
    const preferred = isNamed ? undefined : (whom.owner ?? this.#routes.agentFor(request.messages));
    const first = preferred === undefined ? undefined : this.agents.find(preferred);
    const route = this.#route(whom.agent, mayDemonstrate(), request.model);
    const candidates = route instanceof Promise ? await route : route;
    const agents = first ? [first, ...candidates.filter((each) => each !== first)] : candidates;
    await this.#askInTurn(agents, call, {
      isLeftOut: (agent) => agent !== first && !isNamed && agent.demo === true && !mayDemonstrate(),
      ask: (agent) => {
        refuse(agent, needs);
        const isOwner = !isNamed && agent.name === whom.owner;
        asking.transcript?.handOver(isOwner ? agent.name : this.name);
        const toolbox = isNamed ? undefined : this.#toolboxOf(agent, isOwner ? 'owner' : 'chosen');
        return asking.put(agent, {
          hasPeer: !isNamed && this.#candidates.hasPeer(agent, agents),
          isDemonstration: !isNamed && agent !== first && agent.demo === true,
          isSpecialist: agent === first,
          toolbox: toolbox ?? (asking.awaitsToolResults ? noTools : undefined),
        });
      },
      isFinal: () => asking.spoken,
    });
  }

  /** Asks one agent after the other until one answers. @throws the last failure */
  async #askInTurn<T>(agents: readonly Agent[], call: CallContext, turn: Turn<T>): Promise<T> {
    let failure: unknown;
    for (const { name } of agents) {
      const agent = this.agents.find(name);
      if (agent && turn.isLeftOut?.(agent)) continue;
      if (failure !== undefined && agent)
        call.logger.warn({ err: failure, next: name }, 'failed before its first token; asking the next one');
      try {
        // It may have been unregistered meanwhile.
        if (!agent) throw this.#unknown(name);
        return await turn.ask(agent);
      } catch (error) {
        const isFinal = turn.isFinal?.() || cancellationOf(call).isAborted();
        if (isFinal || !(isForTheNext(error) || !agent)) throw error;
        // An agent that was unregistered meanwhile is a worse reason than the failure before it.
        if (agent || failure === undefined) failure = error;
      }
    }
    throw failure ?? this.#noCandidate();
  }

  /** The tools of an agent that was chosen for a request, or that has the conversation; undefined where it has none. */
  #toolboxOf(agent: Agent, as: 'chosen' | 'owner'): Toolbox | undefined {
    const { tools, delegates } = this.#config;
    if (tools.length + delegates.length === 0 && as === 'chosen') return undefined;
    if (agent.capabilities?.includes('tools') === false) return undefined;
    const others = [...this.agents].filter(
      (each) =>
        each !== this &&
        each !== agent &&
        (each.demo ? delegates.includes(each.name) : isNamedBy(delegates, each.name)),
    );
    // An agent that has the conversation can give it back.
    const back = as === 'owner' ? agentTools(this).slice(1) : [];
    const tasks = as === 'chosen' ? this.loops.tasksNamed(tools) : [];
    const toolbox = new Toolbox([...tasks, ...others.flatMap(agentTools), ...back]);
    return toolbox.size > 0 ? toolbox : undefined;
  }

  /** Reserves the tokens of a request that an agent makes to another one. @throws BUDGET_EXCEEDED */
  async #budgeted({ run: { principal }, request }: Position): Promise<Budgeted | undefined> {
    return principal && this.#budget?.isFor(principal) ? this.#budget.reserve(principal, request) : undefined;
  }

  /** Reserves the tokens of one more turn of a model, which count with the first. */
  #reserveOf(principal: Principal | undefined): ReplyRun['reserve'] {
    const budget = this.#budget;
    if (!principal || !budget?.isFor(principal)) return undefined;
    return async (request) => {
      const budgeted = await budget.reserve(principal, request);
      return () => budgeted?.expense.settle();
    };
  }

  /** The agents that make embeddings, in the order to ask them. A named agent has no fallback. */
  async #embedders(named: string | undefined): Promise<readonly Agent[]> {
    if (named !== undefined && named !== this.name) return this.#route(named, false);
    const all = this.#candidates.all;
    const able = all.filter(({ embed, demo }) => embed && !demo);
    if (able.length === 0 && all.length > 0)
      throw lacksEmbeddings(this.name, 'none of its candidates makes embeddings');
    const healthy = await this.#healthy(able);
    // A server without a model that chats is not healthy, and may have one for embeddings.
    return [...new Set([...healthy, ...able])];
  }

  /** The agents to ask, in order; at once where the first is known to be healthy. A named agent has no fallback. */
  #route(
    named: string | undefined,
    mayDemonstrate: boolean,
    model?: string,
  ): readonly Agent[] | Promise<readonly Agent[]> {
    if (named !== undefined && named !== this.name) {
      const agent = this.agents.find(named);
      if (agent) return [agent];
      throw this.#unknown(named);
    }
    const all = this.#candidates.balanced(model);
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
    if (!this.#demonstration.isOver && this.#candidates.all.includes(agent))
      this.#demonstration.reached(agent);
  }

  failed(agent: Agent, failure: unknown): void {
    if (!isUnreachable(failure)) this.#reached(agent);
    if (isFault(failure)) this.#health.doubt(agent);
  }

  #noCandidate(): WaggleError {
    return new WaggleError('AGENT_UNAVAILABLE', {
      agent: this.name,
      why: `none of ${this.#config.candidates.flat().join(', ')} may answer this; start a model server, or name an agent`,
      retryAfterMs: this.#config.healthTtlMs,
    });
  }

  #unknown(agent: string): WaggleError {
    return new WaggleError('AGENT_UNKNOWN', { agent, known: [...this.agents].map((each) => each.name) });
  }
}

type Whom = Pick<ChatCommand, 'agent' | 'demo'> & {
  /** The agent that the conversation was handed over to. */
  readonly owner?: string | undefined;
};

const noTools = new Toolbox([]);

/** The request to each of several agents. */
interface Turn<T> {
  ask(agent: Agent): Promise<T>;
  isLeftOut?(agent: Agent): boolean;
  /** Whether a failure is that of the whole request. */
  isFinal?(): boolean;
}

/** Refuses a request that needs a missing capability. @throws AGENT_FAILED */
function refuse({ name: agent, capabilities }: Agent, needs: readonly Capability[]): void {
  const lacks = capabilities && needs.find((need) => !capabilities.includes(need));
  if (lacks)
    throw new WaggleError('AGENT_FAILED', { agent, why: `it takes no ${lacks}`, refused: 400, lacks });
}
