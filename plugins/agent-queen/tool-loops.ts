import {
  type Agent,
  type ChatRequest,
  type ClientErrorCode,
  type EventBus,
  type StreamChunk,
  type TaskDefinition,
  type TaskEngine,
  toClientError,
  type WaggleError,
} from '#kernel';
import type { Config } from './config.js';
import type { Contexts } from './contexts.js';
import type { AnswerOnce } from './queen-call.js';
import { type LoopPlace, ToolLoop } from './tool-loop.js';
import { type ServerTool, Toolbox, taskTools } from './toolbox.js';

/** Limits of tools, see the config. */
export type ToolLimits = Pick<
  Config,
  'maxSteps' | 'maxToolCalls' | 'toolsAtOnce' | 'toolTimeoutMs' | 'approvalTimeoutMs' | 'toolResultLimitChars'
>;

/** The tools of the server, and what is known of those who use them. */
export class ToolLoops {
  readonly limits: ToolLimits;
  readonly #tasks: Iterable<TaskDefinition>;
  readonly engine: TaskEngine | undefined;
  readonly bus: Pick<EventBus, 'emit'>;
  readonly contexts: Contexts;
  readonly #shown: (failure: unknown) => unknown;
  readonly #toolboxOfOwner: (agent: Agent) => Toolbox | undefined;
  /** Models that take no tools, as their server has told. */
  readonly #toolless = new Set<string>();

  /** `shown`: a failure as the client may see it. `toolboxOfOwner`: the tools of an agent that has the conversation. */
  constructor(
    limits: ToolLimits,
    bus: Pick<EventBus, 'emit'>,
    { tasks, engine }: { readonly tasks: Iterable<TaskDefinition>; readonly engine: TaskEngine | undefined },
    shown: (failure: unknown) => unknown,
    toolboxOfOwner: (agent: Agent) => Toolbox | undefined,
    contexts: Contexts,
  ) {
    this.contexts = contexts;
    this.limits = limits;
    this.#tasks = tasks;
    this.engine = engine;
    this.bus = bus;
    this.#shown = shown;
    this.#toolboxOfOwner = toolboxOfOwner;
  }

  /** A failure as the client and the model may see it. */
  shown(failure: unknown): WaggleError<ClientErrorCode> {
    return toClientError(this.#shown(failure));
  }

  toolboxOfOwner(agent: Agent): Toolbox | undefined {
    return this.#toolboxOfOwner(agent);
  }

  /** The tools among the tasks that patterns name; none without an engine. */
  tasksNamed(patterns: readonly string[]): readonly ServerTool[] {
    return this.engine ? taskTools(this.#tasks, patterns) : [];
  }

  /** The answer of an agent that may use tasks as tools. */
  withTasks(
    place: LoopPlace,
    patterns: readonly string[],
    request: ChatRequest,
    answer: AnswerOnce,
  ): AsyncIterable<StreamChunk | readonly StreamChunk[]> {
    const toolbox = new Toolbox(this.tasksNamed(patterns));
    return toolbox.size === 0 ? answer(request) : new ToolLoop(this, place, toolbox).answer(request, answer);
  }

  /** Remembers a model that takes no tools. True the first time. */
  hasNoTools(agent: string, model: string | undefined): boolean {
    const key = JSON.stringify([agent, model]);
    if (this.#toolless.has(key)) return false;
    // An attacker could ask for any number of models.
    if (this.#toolless.size >= 1000) this.#toolless.clear();
    this.#toolless.add(key);
    return true;
  }

  takesTools(agent: string, model: string | undefined): boolean {
    return !this.#toolless.has(JSON.stringify([agent, model]));
  }
}
