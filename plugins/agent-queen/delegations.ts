import {
  type AgentCall,
  type AgentResponse,
  type CallContext,
  type ChatChunk,
  type ChatRequest,
  type DelegatedRequest,
  type StreamChunk,
  WaggleError,
} from '#kernel';
import { cancellationOf, deferred, LazyAbortController, LazyAgentCall } from '#sdk';
import { Asking, type QueenState } from './asking.js';
import { collect, contentOf } from './collected.js';
import type { Expense } from './expense.js';
import type { AnswerOnce, Position, Ways } from './queen-call.js';
import { Relay } from './relay.js';
import type { Budgeted } from './token-budget.js';
import type { ToolLoops } from './tool-loops.js';
import type { Toolbox } from './toolbox.js';

/** Agents that wait for one another, in a row. */
const depthLimit = 3;
/** Agents that pass on one another's answers. */
const relayLimit = 8;

/** Reserves the tokens of a request. @throws BUDGET_EXCEEDED */
export type Reserve = (position: Position) => Promise<Budgeted | undefined>;

/** How an agent is asked by another one. */
interface Mode {
  readonly expense?: Expense | undefined;
  readonly toolbox?: Toolbox | undefined;
  /** Its answer is not that of the reply, but its calls of tools are shown. */
  readonly isConsulted?: boolean;
}

/** Lets agents ask others. */
export class Delegations implements Ways {
  readonly #state: QueenState;
  readonly #loops: ToolLoops;
  readonly #reserve: Reserve;

  constructor(state: QueenState, loops: ToolLoops, reserve: Reserve) {
    this.#state = state;
    this.#loops = loops;
    this.#reserve = reserve;
  }

  async ask(
    from: Position,
    call: CallContext,
    agent: string,
    request: DelegatedRequest,
  ): Promise<AgentResponse> {
    const asked = positionOf(from, agent, request, { depth: from.depth + 1 });
    const about = { type: 'delegation', agent, via: 'consult', parent: from.agent } as const;
    const budgeted = await this.#reserve(asked);
    const expense = budgeted?.expense;
    const position = { ...asked, request: budgeted?.request ?? asked.request, transcript: undefined };
    try {
      const stream = this.#stream(from, position, call, { expense, isConsulted: true });
      position.run.write({ ...about, state: 'started' });
      const answer = await collect(agent, stream);
      position.run.write({ ...about, state: 'ended' });
      return answer;
    } catch (error) {
      if (!cancellationOf(call).isAborted()) position.run.write({ ...about, state: 'failed' });
      throw error;
    } finally {
      expense?.settle();
    }
  }

  stream(
    from: Position,
    call: CallContext,
    agent: string,
    request: DelegatedRequest,
  ): AsyncIterable<readonly StreamChunk[]> {
    const position = positionOf(from, agent, request, { relays: from.relays + 1 });
    from.hasRelayed = true;
    return this.#stream(from, position, call);
  }

  handOver(
    from: Position,
    call: CallContext,
    agent: string,
    request: DelegatedRequest,
  ): AsyncIterable<readonly StreamChunk[]> {
    const position = positionOf(from, agent, request, { depth: from.depth + 1 });
    const found = this.#state.agents.find(agent);
    return this.#stream(from, position, call, { toolbox: found && this.#loops.toolboxOfOwner(found) });
  }

  useTools(
    from: Position,
    call: AgentCall,
    tools: readonly string[],
    request: ChatRequest,
    answer: AnswerOnce,
  ): AsyncIterable<StreamChunk | readonly StreamChunk[]> {
    return this.#loops.withTasks({ from, call, ways: this }, tools, request, answer);
  }

  /** @throws AGENT_UNKNOWN, DELEGATION_LIMIT */
  #stream(
    from: Position,
    position: Position,
    call: CallContext,
    { expense, toolbox, isConsulted }: Mode = {},
  ): Relay<readonly StreamChunk[]> {
    const { agent: name, run, request } = position;
    const agent = this.#state.agents.find(name);
    if (!agent) {
      const known = [...this.#state.agents].map((each) => each.name);
      throw new WaggleError('AGENT_UNKNOWN', { agent: name, known });
    }
    run.countDelegation(name);
    const { timeoutMs, userId, connection } = call;
    const abort = new LazyAbortController();
    const caller = cancellationOf(call);
    const forward = () => abort.abort(call.signal.reason);
    if (caller.isAborted()) forward();
    else caller.onAbort(forward);
    const ended = deferred();
    const stop = () => {
      abort.abort(unwanted(name));
      relay.drop();
    };
    from.children ??= new Set();
    from.children.add(stop);
    const relay: Relay<readonly StreamChunk[]> = new Relay(() => {
      stop();
      return ended.promise;
    });
    const source = {
      abort,
      get logger() {
        return call.logger;
      },
    };
    const asking = new Asking(
      this.#state,
      request,
      new LazyAgentCall(source, { timeoutMs, userId, connection }),
      {
        write: (batch) => {
          if (isConsulted) for (const chunk of batch) if (isRun(chunk)) run.write(chunk);
          const content = contentOf(batch).filter((chunk) => !isConsulted || !isRun(chunk));
          return content.length > 0 ? relay.write(content) : undefined;
        },
      },
      { expense, position },
    );
    const settled = () => {
      caller.offAbort(forward);
      from.children?.delete(stop);
      ended.resolve();
    };
    asking
      .put(agent, { toolbox })
      .then(
        () => relay.end(),
        (failure: unknown) => relay.fail(failure),
      )
      .then(settled, settled);
    return relay;
  }
}

function unwanted(agent: string): WaggleError {
  return new WaggleError('AGENT_DISCONNECTED', { agent, why: 'its answer is not wanted any more' });
}

/** @throws DELEGATION_LIMIT, INVALID_REQUEST */
function positionOf(
  from: Position,
  agent: string,
  // Third parties write agents in JavaScript, too.
  { messages, model, options }: Partial<DelegatedRequest> = {},
  { depth = from.depth, relays = from.relays }: { readonly depth?: number; readonly relays?: number },
): Position {
  if (!Array.isArray(messages) || messages.length === 0)
    throw new WaggleError('INVALID_REQUEST', { issues: ['messages: expected a list of at least one'] });
  const limit = depth > depthLimit ? depthLimit : relays > relayLimit ? relayLimit : undefined;
  if (limit !== undefined)
    throw new WaggleError('DELEGATION_LIMIT', { agent, limit, what: 'agents in a row' });
  const { id, userId, conversationId, metadata } = from.request;
  const request: ChatRequest = {
    id,
    messages,
    ...(userId !== undefined && { userId }),
    ...(conversationId !== undefined && { conversationId }),
    ...(metadata && { metadata }),
    ...(model !== undefined && { model }),
    ...(options && { options }),
  };
  const { run, transcript, attempt } = from;
  return { run, agent, request, depth, relays, transcript, attempt };
}

/** Whether a chunk is a call of a tool that this server runs, or its result. */
function isRun(chunk: ChatChunk): boolean {
  return chunk.type === 'tool_result' || (chunk.type === 'tool_call' && chunk.executor === 'server');
}
