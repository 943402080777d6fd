import type { Tool } from '@modelcontextprotocol/client';
import { type TaskCall, WaggleError } from '#kernel';
import type { Connection } from './connection.js';
import { Fault, faultOf } from './fault.js';
import type { Link } from './link.js';
import type { Secrets } from './secrets.js';
import type { ToolArguments } from './tool-input.js';
import { outputOf, type ResultSettings, textOf } from './tool-result.js';

/** Settings of all calls of a server. */
export interface CallSettings extends ResultSettings {
  readonly server: string;
  readonly link: Pick<Link, 'connection'>;
  readonly secrets: Secrets;
  readonly callTimeoutMs: number;
  readonly reconnectWaitMs: number;
}

const reasonLimitChars = 2000;
const progressLimitChars = 1000;
/** The engine ends a run first, with an error of its own. */
const marginMs = 5000;

/** Calls a tool for a run of its task. @throws TASK_FAILED */
export async function callTool(
  settings: CallSettings,
  task: string,
  tool: Tool,
  args: ToolArguments,
  call: Pick<TaskCall, 'signal' | 'progress'>,
): Promise<unknown> {
  const { server, secrets } = settings;
  try {
    const result = await answered(settings, tool, args, call);
    if (!result.isError) return outputOf(result, settings);
    const why = secrets.hide(textOf(result), reasonLimitChars) || 'it gave no reason';
    throw new WaggleError('TASK_FAILED', { task, why });
  } catch (cause) {
    if (WaggleError.is(cause, 'TASK_FAILED')) throw cause;
    const why = `the MCP server "${server}": ${secrets.hide(faultOf(cause).message)}`;
    throw new WaggleError('TASK_FAILED', { task, why }, { cause: new Fault(faultOf(cause).kind, why) });
  }
}

/** Asks a second time where the first request was lost and that cannot do anything twice. @throws Fault */
async function answered(
  { link, callTimeoutMs, reconnectWaitMs }: CallSettings,
  tool: Tool,
  args: ToolArguments,
  { signal, progress }: Pick<TaskCall, 'signal' | 'progress'>,
) {
  const ask = (connection: Connection) =>
    connection.call(tool, args, {
      signal,
      timeoutMs: callTimeoutMs + marginMs,
      progress: ({ progress: done, total, message }) =>
        progress({
          progress: done,
          ...(total !== undefined && { total }),
          ...(message !== undefined && { message: message.slice(0, progressLimitChars) }),
        }),
    });
  const first = await link.connection(reconnectWaitMs, signal);
  try {
    return await ask(first);
  } catch (error) {
    signal.throwIfAborted();
    const fault = faultOf(error);
    if (fault.kind === 'failed') throw fault;
    first.lose(fault.message);
    if (fault.kind === 'lost' && !isRepeatable(tool)) throw fault;
  }
  const second = await link.connection(reconnectWaitMs, signal);
  try {
    return await ask(second);
  } catch (error) {
    const fault = faultOf(error);
    if (!signal.aborted && fault.kind !== 'failed') second.lose(fault.message);
    throw fault;
  }
}

/** Whether a second call does no more than one, as the server says. */
function isRepeatable({ annotations }: Tool): boolean {
  return annotations?.readOnlyHint === true || annotations?.idempotentHint === true;
}
