import { messageOf } from '../../errors.js';
import type { ConfigOptions } from '../config/load-config.js';
import { callControl } from '../live/control-call.js';
import type { ControlAnswer, ControlCommand } from '../live/control-socket.js';
import { socketsOf } from '../live/runtime-folder.js';
import { prepareWhole } from '../prepare.js';
import { exitCodes } from '../stop-signals.js';

/** Options of `waggle plan` and `waggle apply`. */
export interface LiveOptions extends ConfigOptions {
  readonly pid?: string;
}

/** `waggle plan`: prints what a changed config changes in the running server, or what a start would start. */
export async function plan(options: LiveOptions): Promise<void> {
  const answer = await ask(options, 'plan');
  if (answer) return print(answer);
  const { kernel } = await prepareWhole({ ...options, logLevel: 'silent' });
  const starts = (await kernel.check()).map((id) => `start  ${id}\n`);
  const text = `No server of this configuration is running. A start would start:\n${starts.join('')}`;
  print({ text, code: exitCodes.clean });
}

/** `waggle apply`: applies a changed config to the running server. */
export async function apply(options: LiveOptions): Promise<void> {
  const none = { text: 'waggle: no server of this configuration is running\n', code: exitCodes.failed };
  print((await ask(options, 'apply')) ?? none);
}

/** The answer of the one server that runs with this config. */
async function ask(
  { pid, ...options }: LiveOptions,
  command: ControlCommand,
): Promise<ControlAnswer | undefined> {
  const sockets = socketsOf(options).filter((each) => pid === undefined || String(each.pid) === pid);
  if (sockets.length > 1) {
    const pids = sockets.map((each) => each.pid).join(', ');
    const text = `waggle: several servers run with this configuration; choose one with --pid (${pids})\n`;
    return { text, code: exitCodes.failed };
  }
  const [socket] = sockets;
  try {
    return socket && (await callControl(socket, command));
  } catch (error) {
    return { text: `waggle: ${messageOf(error)}\n`, code: exitCodes.failed };
  }
}

function print({ text, code }: ControlAnswer): void {
  (code === exitCodes.clean ? process.stdout : process.stderr).write(text);
  process.exitCode = code;
}
