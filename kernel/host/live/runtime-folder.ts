import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { ConfigOptions } from '../config/load-config.js';

/** One socket of a running server. */
export interface ControlSocket {
  readonly path: string;
  readonly pid: number;
}

const shape = /^([\da-f]{16})-(\d+)\.sock$/;

/** Folders for sockets, the preferred one first: that of the service, that of the login, that of the machine. */
function folders(): readonly string[] {
  const { RUNTIME_DIRECTORY: ofService, XDG_RUNTIME_DIR: ofLogin } = process.env;
  const uid = process.getuid?.() ?? 0;
  return [
    ...(ofService ? [ofService.split(':')[0] as string] : []),
    ...(ofLogin && existsSync(ofLogin) ? [join(ofLogin, 'waggle')] : []),
    join(tmpdir(), `waggle-${uid}`),
  ];
}

/** The path of the socket of this process. Sockets of servers that have ended are removed. @throws where no folder is safe */
export async function ownSocket(options: ConfigOptions): Promise<string> {
  const [folder] = folders() as [string];
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!isPrivate(folder)) throw new Error(`${folder} belongs to another user, or is open to others`);
  const own = join(folder, `${identityOf(options)}-${process.pid}.sock`);
  for (const { path, pid } of socketsIn(folder)) {
    // In another namespace, as in a container, a server lives that has a number of this one or none here.
    const mayBeDead = pid === process.pid || !isAlive(pid);
    if (path === own || (mayBeDead && !(await isListenedOn(path)))) rmSync(path, { force: true });
  }
  return own;
}

/** The sockets of all servers of a config. */
export function socketsOf(options: ConfigOptions): readonly ControlSocket[] {
  const identity = identityOf(options);
  return folders()
    .filter((folder) => existsSync(folder) && isPrivate(folder))
    .flatMap(socketsIn)
    .filter(({ path, pid }) => basename(path).startsWith(identity) && isAlive(pid));
}

/** The same for two commands that name the same config file; without one, that run in the same folder. */
function identityOf({ config }: ConfigOptions): string {
  const named = config === undefined ? undefined : resolve(config);
  const path = named && existsSync(named) ? realpathSync(named) : named;
  const text = path === undefined ? `folder ${process.cwd()}` : `file ${path}`;
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function socketsIn(folder: string): readonly ControlSocket[] {
  return readdirSync(folder).flatMap((name) => {
    const [, , pid] = shape.exec(name) ?? [];
    return pid === undefined ? [] : [{ path: join(folder, name), pid: Number(pid) }];
  });
}

function isPrivate(folder: string): boolean {
  const { uid, mode } = lstatSync(folder);
  return lstatSync(folder).isDirectory() && uid === process.getuid?.() && (mode & 0o077) === 0;
}

/** Whether a process is behind a socket: the system says so at once. */
function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    );
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
