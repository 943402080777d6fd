import type { CallToolResult, ServerContext } from '@modelcontextprotocol/server';
import {
  type ChatStreams,
  type Principal,
  type Reply,
  type TaskEngine,
  type TaskRun,
  type TaskUpdate,
  toClientError,
  WaggleError,
} from '#kernel';
import { randomId } from '#sdk';
import type { Offer } from './offers.js';
import { ProgressMeter } from './progress.js';

/** The services that do the work of tools. */
export interface Workshop {
  readonly engine: TaskEngine;
  readonly streams: ChatStreams;
  readonly resultLimitChars: number;
}

type Arguments = Readonly<Record<string, unknown>>;
type Request = Pick<ServerContext['mcpReq'], 'signal' | '_meta' | 'notify'>;

/** Does the work of a tool for a user. A failure is a result as well: the model is to read it. */
export async function callTool(
  { engine, streams, resultLimitChars }: Workshop,
  { work }: Offer,
  args: Arguments,
  principal: Principal | undefined,
  request: Request,
): Promise<CallToolResult> {
  try {
    const output =
      work.kind === 'task'
        ? await outputOf(await engine.submit(work.task, args, { owner: principal?.id }), request)
        : await answerOf(await ask(streams, work.agent, args, principal), request);
    return { content: [{ type: 'text', text: cut(textOf(output), resultLimitChars) }] };
  } catch (error) {
    const text = cut(toClientError(error).message, resultLimitChars);
    return { content: [{ type: 'text', text }], isError: true };
  }
}

async function outputOf(run: TaskRun, request: Request): Promise<unknown> {
  const leave = onAbort(request.signal, () => void run.cancel());
  if (wantsProgress(request)) void report(run.updates(), progressIn, request);
  try {
    return await run.result;
  } finally {
    leave();
  }
}

function progressIn(updates: readonly TaskUpdate[]): unknown {
  return updates.findLast(({ type }) => type === 'progress')?.value;
}

/** Starts a reply without a conversation. In an open server everybody is a user of their own. @throws errors of the streams */
async function ask(
  streams: ChatStreams,
  agent: string,
  args: Arguments,
  principal: Principal | undefined,
): Promise<Reply> {
  const { question } = args;
  if (typeof question !== 'string' || question === '')
    throw new WaggleError('INVALID_REQUEST', { issues: ['question: expected a text'] });
  return streams.start({
    content: question,
    agent,
    userId: principal?.id ?? `stranger-${randomId()}`,
    principal,
    stateless: true,
    endpoint: 'POST /mcp',
    onDisconnect: 'cancel',
  });
}

async function answerOf(reply: Reply, request: Request): Promise<string> {
  const whole = reply.whole(request.signal);
  if (!wantsProgress(request)) return (await whole).content;
  const reader = reply.read();
  // The reply goes on for as long as it has a reader.
  const leave = onAbort(request.signal, () => void reader.return());
  void report(reader, () => ({ progress: reply.position, message: 'characters so far' }), request);
  try {
    return (await whole).content;
  } finally {
    leave();
    void reader.return();
  }
}

function wantsProgress({ _meta }: Request): boolean {
  return _meta?.progressToken !== undefined;
}

/** Sends progress until the work has ended. */
async function report<T>(
  news: AsyncIterable<T>,
  reportIn: (news: T) => unknown,
  { _meta, notify }: Request,
): Promise<void> {
  const progressToken = _meta?.progressToken as string | number;
  const meter = new ProgressMeter();
  try {
    for await (const each of news) {
      const value = reportIn(each);
      const progress = value === undefined ? undefined : meter.take(value);
      if (progress)
        await notify({ method: 'notifications/progress', params: { progressToken, ...progress } });
    }
  } catch {
    // The client has gone, or the work has failed: its result says so.
  }
}

function onAbort(signal: AbortSignal, listener: () => void): () => void {
  signal.addEventListener('abort', listener, { once: true });
  if (signal.aborted) listener();
  return () => signal.removeEventListener('abort', listener);
}

function textOf(output: unknown): string {
  return typeof output === 'string' ? output : (JSON.stringify(output) ?? '');
}

function cut(text: string, limitChars: number): string {
  if (text.length <= limitChars) return text;
  const end = /[\uD800-\uDBFF]/.test(text.charAt(limitChars - 1)) ? limitChars - 1 : limitChars;
  return `${text.slice(0, end)}\n[${text.length - end} more characters are left out]`;
}
