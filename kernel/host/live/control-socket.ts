import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '../../logger.js';
import type { ConfigOptions } from '../config/load-config.js';
import { exitCodes } from '../stop-signals.js';
import { ownSocket } from './runtime-folder.js';

/** The commands that a running server takes from others of the same user. */
export type ControlCommand = 'plan' | 'apply';

/** The outcome of a command: the text for its terminal, and its exit code. */
export interface ControlAnswer {
  readonly text: string;
  readonly code: number;
}

/** Performs a command. Never rejects. */
export type TakeCommand = (command: ControlCommand) => Promise<ControlAnswer>;

const requestTimeoutMs = 5000;
const maxConnections = 16;
const requestLimitChars = 100;

/** Takes commands on a Unix domain socket that only this user can open. It keeps no process alive. */
export async function openControlSocket(
  answer: TakeCommand,
  options: ConfigOptions,
  logger: Logger,
): Promise<{ close(): void }> {
  const connections = new Set<Socket>();
  const server: Server = createServer((socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket)).on('error', () => {});
    socket.unref().setTimeout(requestTimeoutMs, () => socket.destroy());
    receive(socket, async (command) => {
      socket.setTimeout(0);
      socket.end(`${JSON.stringify(await answered(answer, command))}\n`);
    });
  });
  server.maxConnections = maxConnections;
  const path = await ownSocket(options);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(path, () => resolve());
  });
  server.on('error', (err) => logger.warn({ err }, 'the control socket failed'));
  server.unref();
  chmodSync(path, 0o600);
  return {
    close() {
      server.close();
      for (const socket of connections) socket.destroySoon();
    },
  };
}

function receive(socket: Socket, act: (command: string) => Promise<void>): void {
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    if (text.length > requestLimitChars) socket.destroy();
    else if (text.includes('\n')) {
      socket.removeAllListeners('data');
      act(text.trim()).catch(() => socket.destroy());
    }
  });
}

async function answered(answer: TakeCommand, command: string): Promise<ControlAnswer> {
  if (command === 'plan' || command === 'apply') return answer(command);
  return { text: 'waggle: the server is of another version\n', code: exitCodes.failed };
}
