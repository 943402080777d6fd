import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { programPath } from '../support/program-path.js';

const boundMs = 10_000;

/** A proxy in front of a port, reached by a socket in a folder of its own. */
export interface RunningProxy {
  readonly socketPath: string;
  close(): Promise<void>;
}

interface Recipe {
  config(folder: string, port: number): string;
  args(file: string, folder: string): readonly string[];
}

/** Where nginx may write. */
export function temporaryFolders(folder: string): string {
  const names = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return names.map((each) => `${each}_temp_path ${folder}/${each};`).join(' ');
}

/** As they are usually set up, with connections that are kept. */
export const recipes = {
  nginx: {
    config: (folder, port) => `
      daemon off; master_process off; pid ${folder}/pid; error_log stderr warn;
      events {}
      http {
        access_log off;
        ${temporaryFolders(folder)}
        upstream waggle { server 127.0.0.1:${port}; keepalive 1; }
        server {
          listen unix:${folder}/socket;
          location / {
            proxy_pass http://waggle;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_next_upstream off;
          }
        }
      }`,
    args: (file, folder) => ['-p', folder, '-e', 'stderr', '-c', file],
  },
  caddy: {
    config: (folder, port) => `
      {
        admin off
        auto_https off
        log {
          level ERROR
        }
      }
      http:// {
        bind unix/${folder}/socket
        reverse_proxy 127.0.0.1:${port} {
          flush_interval -1
          transport http {
            keepalive_idle_conns_per_host 1
          }
        }
      }`,
    args: (file) => ['run', '--adapter', 'caddyfile', '--config', file],
  },
} satisfies Record<string, Recipe>;

/** Starts one as it is usually set up, which ends with `close`. */
export function startProxy(name: keyof typeof recipes, port: number): Promise<RunningProxy> {
  return runProxy(name, (folder) => recipes[name].config(folder, port));
}

/** Starts one with a config of its own, which listens on `listenPort` or else on `socket` in its folder. */
export async function runProxy(
  name: keyof typeof recipes,
  config: (folder: string) => string,
  listenPort?: number,
): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'proxy-'));
  const file = join(folder, 'config');
  const recipe: Recipe = recipes[name];
  await writeFile(file, config(folder));
  const child = spawn(programPath(name) as string, recipe.args(file, folder), {
    env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const closed = once(child, 'close');
  const socketPath = join(folder, 'socket');
  const untilMs = performance.now() + boundMs;
  const close = async () => {
    kill();
    await closed;
    process.off('exit', kill);
    await rm(folder, { recursive: true, force: true });
  };
  while (!(await accepts(listenPort === undefined ? { path: socketPath } : { port: listenPort }))) {
    if (child.exitCode !== null || performance.now() > untilMs) {
      await close();
      throw new Error(`${name} did not start: ${errors}`);
    }
    await sleep(20);
  }
  return { socketPath, close };
}

async function accepts(at: NetConnectOpts): Promise<boolean> {
  const socket = connect(at);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
