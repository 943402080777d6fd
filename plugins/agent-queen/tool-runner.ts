import { type KernelEvents, type TaskRun, type ToolCall, type ToolError, WaggleError } from '#kernel';
import { cancellationOf, charsIn, isJsonObject } from '#sdk';
import type { Position } from './queen-call.js';
import type { LoopPlace } from './tool-loop.js';
import type { ToolLoops } from './tool-loops.js';
import { agentOf, type ServerTool } from './toolbox.js';

/** A longer result is none: nothing of it would be of use. */
const outputLimitChars = 1_000_000;

/** How a call of a tool has ended. */
export interface Outcome {
  /** For the model. */
  readonly text: string;
  /** For readers; absent with an error. */
  readonly output?: unknown;
  readonly error?: ToolError;
  /** Whether the model has written arguments that cannot be read. */
  readonly isBroken: boolean;
}

/** Runs calls of tools: of tasks, of agents, and of the client. */
export class ToolRunner {
  readonly #loops: ToolLoops;
  readonly #place: LoopPlace;

  constructor(loops: ToolLoops, place: LoopPlace) {
    this.#loops = loops;
    this.#place = place;
  }

  /** Runs calls side by side, some at a time, at most `left` of them. A failure is the outcome of its call. */
  async all(
    calls: readonly { readonly call: ToolCall; readonly tool: ServerTool | undefined }[],
    left: number,
  ): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    let next = 0;
    const work = async () => {
      while (next < calls.length) {
        const at = next++;
        const { call, tool } = calls[at] as (typeof calls)[number];
        outcomes[at] = await this.#run(call, tool, at < left);
      }
    };
    const { toolsAtOnce } = this.#loops.limits;
    // After a cancel it waits until all have stopped.
    const workers = Array.from({ length: Math.min(toolsAtOnce, calls.length) }, work);
    const [failed] = (await Promise.allSettled(workers)).filter(({ status }) => status === 'rejected');
    if (failed) throw (failed as PromiseRejectedResult).reason;
    return outcomes;
  }

  /** The arguments of a call. @throws INVALID_JSON, INVALID_REQUEST */
  argumentsOf({ arguments: text }: ToolCall): Readonly<Record<string, unknown>> {
    let json: unknown;
    try {
      json = text.trim() === '' ? {} : JSON.parse(text);
    } catch {
      throw new WaggleError('INVALID_JSON', {
        why: 'the arguments of the call; write them as one JSON object',
      });
    }
    if (!isJsonObject(json))
      throw new WaggleError('INVALID_REQUEST', { issues: ['arguments: expected an object'] });
    return json;
  }

  failed(failure: unknown): Outcome {
    const { code, message } = this.#loops.shown(failure);
    const isBroken = code === 'INVALID_JSON' || code === 'INVALID_REQUEST';
    return { text: `Error ${code}: ${message}`, error: { code, message }, isBroken };
  }

  /** Tells readers how a call has ended. */
  tell({ id }: ToolCall, name: string, { output, error }: Outcome, begunAt: number): void {
    const durationMs = msSince(begunAt);
    this.#place.from.run.write({
      type: 'tool_result',
      id,
      name,
      ...(error ? { error } : { output }),
      durationMs,
    });
  }

  async #run(call: ToolCall, tool: ServerTool | undefined, mayRun: boolean): Promise<Outcome> {
    const { call: context, from } = this.#place;
    const begunAt = performance.now();
    const name = tool?.name ?? call.name;
    const about = { ...eventOf(from), name, callId: call.id };
    this.#loops.bus.emit('tool:called', about);
    let outcome: Outcome;
    try {
      if (!mayRun)
        throw new WaggleError('TOOL_LIMIT', { tool: name, limit: this.#loops.limits.maxToolCalls });
      const output = tool ? await this.#server(call, tool) : await this.#client(call);
      outcome = this.#given(name, output);
    } catch (failure) {
      if (cancellationOf(context).isAborted()) {
        this.#loops.bus.emit('tool:ended', { ...about, durationMs: msSince(begunAt), cancelled: true });
        throw failure;
      }
      if (!(failure instanceof WaggleError))
        context.logger.warn({ err: failure, tool: name }, 'a tool failed');
      outcome = this.failed(failure);
    }
    const { code } = outcome.error ?? {};
    this.#loops.bus.emit('tool:ended', {
      ...about,
      durationMs: msSince(begunAt),
      ...(code !== undefined && { code }),
    });
    if (!cancellationOf(context).isAborted()) this.tell(call, name, outcome, begunAt);
    return outcome;
  }

  async #server(call: ToolCall, tool: ServerTool): Promise<unknown> {
    const { from, call: context, ways } = this.#place;
    const input = this.argumentsOf(call);
    if (tool.kind === 'handover')
      throw new WaggleError('APPROVAL_DENIED', { tool: tool.name, why: 'only one hand-over at a time' });
    if (tool.asks) await this.#allowed(call, tool);
    if (tool.kind === 'task') return this.#task(tool, input);
    const { question } = input;
    if (typeof question !== 'string' || question.trim() === '')
      throw new WaggleError('INVALID_REQUEST', { issues: ['question: expected a text'] });
    const { content } = await ways.ask(from, context, agentOf(tool), {
      messages: [{ role: 'user', content: question }],
    });
    return content;
  }

  async #task({ name }: ServerTool, input: unknown): Promise<unknown> {
    const { from, call } = this.#place;
    const { engine } = this.#loops;
    if (!engine) throw new WaggleError('TASK_UNKNOWN', { task: name.slice(0, 128) });
    const { userId, connection } = call;
    const run = await engine.submit(name, input, { owner: userId, connection, isPart: true });
    const ended = from.run.began('tool', name);
    const cancel = () => void run.cancel();
    const cancellation = cancellationOf(call);
    if (cancellation.isAborted()) cancel();
    else cancellation.onAbort(cancel);
    try {
      return await run.result;
    } finally {
      cancellation.offAbort(cancel);
      ended(!(run as TaskRun).abandoned);
    }
  }

  /** @throws TOOL_TIMEOUT, TASK_FAILED */
  async #client({ id, name }: ToolCall): Promise<unknown> {
    const { from, call } = this.#place;
    const { toolTimeoutMs: timeoutMs } = this.#loops.limits;
    const { signal } = call;
    const answer = await from.run.sink?.answerTo?.('tool_result', id, { timeoutMs, signal });
    if (!answer) throw new WaggleError('TOOL_TIMEOUT', { tool: name, timeoutMs });
    if (answer.error !== undefined) throw new WaggleError('TASK_FAILED', { task: name, why: answer.error });
    return answer.output;
  }

  /** @throws APPROVAL_DENIED */
  async #allowed({ id, arguments: args }: ToolCall, { name }: ServerTool): Promise<void> {
    const { from, call } = this.#place;
    const { approvalTimeoutMs: timeoutMs } = this.#loops.limits;
    const { sink } = from.run;
    if (!sink?.answerTo)
      throw new WaggleError('APPROVAL_DENIED', { tool: name, why: 'there is no person to ask' });
    const { signal } = call;
    const asked = sink.answerTo('approval', id, { timeoutMs, signal });
    from.run.write({ type: 'approval_required', id, name, arguments: args, expiresInMs: timeoutMs });
    const answer = await asked;
    const { allow = false, by, reason } = answer ?? {};
    from.run.write({ type: 'approval_resolved', id, allow, ...(by !== undefined && { by }) });
    if (allow) return;
    const why = answer ? (reason ?? 'the user has denied it') : 'no person has allowed it in time';
    throw new WaggleError('APPROVAL_DENIED', { tool: name, why });
  }

  /** @throws TOO_LARGE, TASK_FAILED */
  #given(task: string, output: unknown): Outcome {
    if (charsIn(output) > outputLimitChars)
      throw new WaggleError('TOO_LARGE', {
        limitBytes: outputLimitChars,
        unit: 'characters',
        key: `of a result of "${task}"`,
      });
    let json: string;
    try {
      json = JSON.stringify(output) ?? 'null';
    } catch (cause) {
      throw new WaggleError('TASK_FAILED', { task, why: 'its result cannot be written as JSON' }, { cause });
    }
    const text = typeof output === 'string' ? output : json;
    const { toolResultLimitChars: limit } = this.#loops.limits;
    if (text.length <= limit) return { text, output: JSON.parse(json) as unknown, isBroken: false };
    const cut = `${text.slice(0, limit)}\n[cut: the first ${limit} of ${text.length} characters]`;
    return { text: cut, output: cut, isBroken: false };
  }
}

function eventOf({
  request,
  agent,
  attempt,
}: Position): Pick<KernelEvents['tool:called'], 'streamId' | 'agent' | 'userId' | 'attempt'> {
  const { id: streamId, userId } = request;
  return { streamId, agent, userId, ...(attempt !== undefined && { attempt }) };
}

function msSince(begunAt: number): number {
  return Math.round((performance.now() - begunAt) * 10) / 10;
}
