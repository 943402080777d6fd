import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import type { ControlAnswer, ControlCommand } from './control-socket.js';
import type { ControlSocket } from './runtime-folder.js';

/** A change may start and stop any number of plugins. */
const answerTimeoutMs = 10 * 60_000;

/** Sends a command to a running server. Undefined where no server is behind the socket any more. @throws when it does not answer */
export function callControl(
  { path, pid }: ControlSocket,
  command: ControlCommand,
): Promise<ControlAnswer | undefined> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(path, () => socket.write(`${command}\n`));
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.setTimeout(answerTimeoutMs, () => socket.destroy(new Error('it does not answer')));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT') return reject(error);
      // Its server was killed, and another process has its number.
      rmSync(path, { force: true });
      resolve(undefined);
    });
    socket.on('close', () => {
      try {
        resolve(JSON.parse(text));
      } catch {
        reject(new Error(`the server (process ${pid}) ended before it answered`));
      }
    });
  });
}
