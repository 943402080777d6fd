import { spawnSync } from 'node:child_process';
import { existsSync, renameSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ownSocket } from '../../../kernel/host/live/runtime-folder.js';
import { tempFolder } from '../../support/kernel.js';

const listen = (path: string) =>
  new Promise<Server>((resolve) => {
    const server = createServer((socket) => void socket.destroy()).listen(path, () => resolve(server));
  });

describe('the folder of control sockets', () => {
  let folder: string;
  let before: string | undefined;
  beforeEach(() => {
    before = process.env.RUNTIME_DIRECTORY;
    folder = join(tempFolder().path, 'waggle');
    process.env.RUNTIME_DIRECTORY = folder;
  });
  afterEach(() => {
    if (before === undefined) delete process.env.RUNTIME_DIRECTORY;
    else process.env.RUNTIME_DIRECTORY = before;
  });

  /** The path of a socket of another config, of a process with this number. */
  async function pathOf(pid: number | undefined): Promise<string> {
    const own = await ownSocket({ config: 'another.yaml' });
    return join(folder, basename(own).replace(/\d+\.sock$/, `${pid}.sock`));
  }

  it.each([
    ['has ended', () => spawnSync('true').pid],
    ['has the number of this one', () => process.pid],
  ])(
    'loses the socket of a process that %s, unless somebody listens: a server of another namespace',
    async (_, pidOf) => {
      const path = await pathOf(pidOf());
      const server = await listen(path);
      await ownSocket({ config: 'mine.yaml' });
      expect(existsSync(path)).toBe(true);
      // What closes removes its path: this is what a server leaves that was killed.
      renameSync(path, `${path}.kept`);
      await new Promise((resolve) => server.close(resolve));
      renameSync(`${path}.kept`, path);
      await ownSocket({ config: 'mine.yaml' });
      expect(existsSync(path)).toBe(false);
    },
  );

  it('keeps the socket of a process that lives', async () => {
    const path = await pathOf(process.ppid);
    const server = await listen(path);
    await ownSocket({ config: 'mine.yaml' });
    expect(existsSync(path)).toBe(true);
    await new Promise((resolve) => server.close(resolve));
  });
});
