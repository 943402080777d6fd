import { setTimeout as delay } from 'node:timers/promises';
import type {
  Agent,
  AgentCall,
  ChatMessage,
  ChatRequest,
  StreamChunk,
  ToolCall,
  ToolDefinition,
  Usage,
} from '#kernel';
import { isBusy } from '#sdk';
import type { Done } from './batch.js';
import { BusyRetry } from './busy-retry.js';
import { lackOf } from './failures.js';
import type { Fitted } from './fitted.js';
import { HandOver } from './hand-over.js';
import { type Called, ModelTurn } from './model-turn.js';
import type { AnswerOnce, Position, Ways } from './queen-call.js';
import type { ToolLoops } from './tool-loops.js';
import { toolNameOf } from './tool-name.js';
import { type Outcome, ToolRunner } from './tool-runner.js';
import { Toolbox } from './toolbox.js';
import { sum } from './usage-sum.js';

/** Rounds in a row in which a model may write nothing but calls that cannot be read. */
const brokenRounds = 2;

/** The agent that uses tools. */
export interface LoopPlace {
  readonly from: Position;
  readonly call: AgentCall;
  readonly ways: Ways;
}

/** One answer of an agent with tools: turns of its model, and between them the calls that this server or the client runs. */
export class ToolLoop {
  readonly #loops: ToolLoops;
  readonly #place: LoopPlace;
  readonly #runner: ToolRunner;
  #toolbox: Toolbox;
  #usage: Usage | undefined;
  #called = 0;
  #isTruncated = false;

  constructor(loops: ToolLoops, place: LoopPlace, toolbox: Toolbox) {
    this.#loops = loops;
    this.#place = place;
    this.#toolbox = toolbox;
    this.#runner = new ToolRunner(loops, place);
  }

  /** The tokens of the agent's own turns. */
  get usage(): Usage | undefined {
    return this.#usage;
  }

  /** The answer of an agent, with tools. */
  answerOf(agent: Agent, request: ChatRequest): AsyncGenerator<readonly StreamChunk[]> {
    return this.answer(request, (turn) => agent.generateResponseStream(turn, this.#place.call), agent);
  }

  /**
   * `ask` gets one turn of the model. Its calls of tools of this server are run, and told to it in the next one. Each turn is
   * fitted into the context window of `agent`; without one `ask` does that.
   */
  async *answer(
    request: ChatRequest,
    ask: AnswerOnce,
    agent?: Agent,
  ): AsyncGenerator<readonly StreamChunk[]> {
    const { from, call } = this.#place;
    const own = request.options?.tools ?? [];
    const releases: (() => void)[] = [];
    const { contexts } = this.#loops;
    let { messages } = request;
    let broken = 0;
    let refused: Fitted | undefined;
    if (!this.#loops.takesTools(from.agent, request.model)) this.#toolbox = new Toolbox([]);
    try {
      for (let step = 0; ; step++) {
        const { maxSteps, maxToolCalls } = this.#loops.limits;
        const isLast = step >= maxSteps || this.#called >= maxToolCalls || broken >= brokenRounds;
        const tools = isLast ? own : this.#offered(own);
        const asked = withTools(request, messages, tools, step > 0);
        const turn = new ModelTurn(this.#toolbox, own, from);
        const fitted = agent && (await contexts.fit(agent, asked, call, from.run.question, refused));
        if (fitted && from.depth === 0 && step === 0) from.run.gets(from.agent, fitted);
        refused = undefined;
        const sent = fitted?.request ?? asked;
        if (step > 0 && from.run.reserve) releases.push(await from.run.reserve(sent));
        try {
          for await (const pulled of step === 0 ? ask(sent) : this.#retried(ask, sent, turn)) {
            const chunks = turn.take(pulled);
            if (chunks.length > 0) yield chunks;
            if (turn.done) break;
          }
        } catch (failure) {
          if (fitted && !turn.hasBegun && contexts.isForAnother(fitted, failure)) {
            refused = fitted;
            step--;
            continue;
          }
          if (!this.#forgoesTools(failure, request, turn, step)) throw failure;
          step = -1;
          continue;
        }
        const { done } = turn;
        if (!done) return; // Its reader says so.
        this.#usage = sum(this.#usage, done.usage);
        if (done.truncated || (fitted && this.#isLess(fitted, done))) this.#isTruncated = true;
        if (turn.calls.length === 0 || turn.isForClient || isLast) {
          const reason = isLast && turn.calls.length > 0 ? 'length' : done.reason;
          yield [
            {
              ...done,
              reason,
              ...(this.#usage && { usage: this.#usage }),
              ...(this.#isTruncated && { truncated: true }),
            },
          ];
          return;
        }
        const calls = turn.calls.map((each) => this.#unique(each));
        const left = maxToolCalls - this.#called;
        this.#called += calls.length;
        yield calls.map(chunkOf);
        const leaving = calls.find(({ tool }) => tool?.kind === 'handover');
        const others = calls.filter((each) => each !== leaving);
        const outcomes = await this.#runner.all(others, left);
        call.signal.throwIfAborted();
        broken = outcomes.length > 0 && outcomes.every(({ isBroken }) => isBroken) ? broken + 1 : 0;
        const handOver = leaving?.tool && new HandOver(this.#place, this.#runner, leaving.call, leaving.tool);
        if (handOver && leaving) {
          others.push(leaving);
          outcomes.push(await handOver.begin(request));
        }
        this.#record(others, outcomes);
        if (handOver?.hasBegun) {
          yield* handOver.answer(this.#usage);
          return;
        }
        messages = [
          ...messages,
          ...turn.told(calls),
          ...others.map(({ call: { id, name } }, at) =>
            resultMessage(id, toolNameOf(name), outcomes[at] as Outcome),
          ),
        ];
      }
    } finally {
      for (const release of releases) release();
    }
  }

  /** Whether the model has read less than it was sent, or than the reader was told. */
  #isLess(fitted: Fitted, done: Done): boolean {
    const { run, depth } = this.#place.from;
    return this.#loops.contexts.learn(fitted, done) || (depth === 0 && run.isUntold(fitted.report));
  }

  /** A turn after the first: a busy model server is asked again, as no other agent can go on. */
  async *#retried(
    ask: AnswerOnce,
    request: ChatRequest,
    turn: ModelTurn,
  ): AsyncGenerator<StreamChunk | readonly StreamChunk[]> {
    const { timeoutMs = 120_000, signal } = this.#place.call;
    const retry = new BusyRetry(timeoutMs / 2);
    for (;;) {
      try {
        yield* ask(request);
        return;
      } catch (failure) {
        const waitMs = turn.hasBegun || !isBusy(failure) ? undefined : retry.waitMs(failure);
        if (waitMs === undefined) throw failure;
        await delay(waitMs, undefined, { signal });
      }
    }
  }

  /** Whether the model takes no tools and is to be asked once more, without those of the server. */
  #forgoesTools(failure: unknown, request: ChatRequest, turn: ModelTurn, step: number): boolean {
    const { from, call } = this.#place;
    const isTheirs = (request.options?.tools ?? []).length > 0;
    if (lackOf(failure) !== 'tools' || step > 0 || turn.hasBegun || isTheirs || this.#toolbox.size === 0)
      return false;
    if (this.#loops.hasNoTools(from.agent, request.model))
      call.logger.warn(
        { agent: from.agent, model: request.model },
        'its model takes no tools; it gets none from now on',
      );
    this.#toolbox = new Toolbox([]);
    return true;
  }

  /** The tools of the request and those of this loop; of one name those of the client, else those of this loop. */
  #offered(own: readonly ToolDefinition[]): readonly ToolDefinition[] {
    const { clientTools } = this.#place.from.run;
    const ours = this.#toolbox.definitions.filter(({ name }) => !clientTools.has(name));
    const names = new Set(ours.map(({ name }) => name));
    return [...own.filter(({ name }) => !names.has(name)), ...ours];
  }

  #record(called: readonly Called[], outcomes: readonly Outcome[]): void {
    const calls = called.map(({ call, tool }): ToolCall => {
      const { id, arguments: args, extra } = call;
      const name = tool?.name ?? call.name;
      return {
        id,
        name,
        arguments: args,
        ...(extra && { extra }),
        ...(tool && { executor: 'server' as const }),
      };
    });
    const results = calls.map(({ id, name }, at) => resultMessage(id, name, outcomes[at] as Outcome));
    this.#place.from.transcript?.add(calls, results);
  }

  /** With an id that no other call of the answer has. */
  #unique({ call, tool }: Called): Called {
    return { call: { ...call, id: this.#place.from.run.uniqueId(call.id) }, tool };
  }
}

function chunkOf({ call, tool }: Called): StreamChunk {
  const { id, arguments: args, extra } = call;
  const name = tool?.name ?? call.name;
  const executor = tool ? ('server' as const) : ('client' as const);
  return { type: 'tool_call', id, name, arguments: args, ...(extra && { extra }), executor };
}

function resultMessage(toolCallId: string, toolName: string, { text }: Outcome): ChatMessage {
  return { role: 'tool', content: text, toolCallId, toolName };
}

/** The request for one turn. A choice of the client holds for the first one: otherwise the model would call for ever. */
function withTools(
  request: ChatRequest,
  messages: readonly ChatMessage[],
  tools: readonly ToolDefinition[],
  isLater: boolean,
): ChatRequest {
  const { tools: _, toolChoice, ...options } = request.options ?? {};
  const choice = isLater && toolChoice !== 'none' ? undefined : toolChoice;
  return {
    ...request,
    messages,
    options: {
      ...options,
      ...(tools.length > 0 && { tools }),
      ...(choice !== undefined && { toolChoice: choice }),
    },
  };
}
