import type { ChatMessage, ChatRequest, Delegation, StreamChunk, ToolCall, Usage } from '#kernel';
import { cancellationOf } from '#sdk';
import type { LoopPlace } from './tool-loop.js';
import type { Outcome, ToolRunner } from './tool-runner.js';
import { agentOf, type ServerTool } from './toolbox.js';
import { sum } from './usage-sum.js';

/** An agent leaves the conversation to another one, which gives the rest of the answer. */
export class HandOver {
  readonly #place: LoopPlace;
  readonly #runner: ToolRunner;
  readonly #call: ToolCall;
  readonly #tool: ServerTool;
  #answer: AsyncIterator<readonly StreamChunk[]> | undefined;
  #first: IteratorResult<readonly StreamChunk[]> | undefined;

  constructor(place: LoopPlace, runner: ToolRunner, call: ToolCall, tool: ServerTool) {
    this.#place = place;
    this.#runner = runner;
    this.#call = call;
    this.#tool = tool;
  }

  /** Whether the other agent has said something: the answer is its own from then on. */
  get hasBegun(): boolean {
    return this.#first !== undefined;
  }

  /** Waits for the first words of the other agent. Its failure before them is the outcome of the call. */
  async begin(request: ChatRequest): Promise<Outcome> {
    const { from, call, ways } = this.#place;
    const begunAt = performance.now();
    let outcome: Outcome;
    this.#tell('started');
    try {
      const { note } = this.#runner.argumentsOf(this.#call);
      const briefing = typeof note === 'string' && note.trim() !== '' ? [briefingOf(from.agent, note)] : [];
      const { toolChoice: _, ...options } = request.options ?? {};
      const messages = [...briefing, ...from.request.messages];
      this.#answer = ways
        .handOver(from, call, agentOf(this.#tool), { messages, options })
        [Symbol.asyncIterator]();
      this.#first = await this.#answer.next();
      from.transcript?.handOver(agentOf(this.#tool));
      outcome = { text: 'done', output: 'done', isBroken: false };
    } catch (failure) {
      if (cancellationOf(call).isAborted()) throw failure;
      this.#tell('failed');
      outcome = this.#runner.failed(failure);
    }
    this.#runner.tell(this.#call, this.#tool.name, outcome, begunAt);
    return outcome;
  }

  /** The answer of the other agent. `before`: the tokens that are added to its own. */
  async *answer(before: Usage | undefined): AsyncGenerator<readonly StreamChunk[]> {
    const answer = this.#answer;
    let result = this.#first;
    try {
      for (; answer && result && !result.done; result = await answer.next()) {
        const done = result.value.at(-1);
        if (done?.type !== 'done') {
          yield result.value;
          continue;
        }
        const usage = sum(before, done.usage);
        if (result.value.length > 1) yield result.value.slice(0, -1);
        this.#tell('ended');
        yield [{ ...done, ...(usage && { usage }) }];
      }
    } catch (failure) {
      if (!cancellationOf(this.#place.call).isAborted()) this.#tell('failed');
      throw failure;
    } finally {
      await answer?.return?.();
    }
  }

  #tell(state: Delegation['state']): void {
    const { run, agent: parent } = this.#place.from;
    run.write({ type: 'delegation', agent: agentOf(this.#tool), via: 'handover', state, parent });
  }
}

function briefingOf(agent: string, note: string): ChatMessage {
  return { role: 'system', content: `The agent "${agent}" has handed this conversation over: ${note}` };
}
