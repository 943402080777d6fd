import { tokens } from '../answers/corpus.mjs';
import { launchWaggle } from '../waggle/launch.mjs';
import { benchRoot, nodeFlags } from './process.mjs';
import { writeTemporary } from './temp-folder.mjs';

/**
 * A server under test. `needs` are packages of this folder, `imports` modules of Python, without which it is left out.
 * @typedef {{ name: string, launch: Function, needs?: string[], imports?: string[], program?: string, client?: object }} Contender
 */

/** @returns {Contender} */
export const waggle = (name = 'waggle', more = {}) => ({ name, launch: launchWaggle, ...more });

/** @returns {Contender} */
export const node = (name, file, needs, more = {}) => ({
  name,
  needs,
  launch: () => ({ command: [process.execPath, ...nodeFlags, `${benchRoot}servers/${file}`] }),
  ...more,
});

/** Debian's own interpreter, which sees the packages of Debian. */
export const python = '/usr/bin/python3';

/** @returns {Contender} */
export const pythonServer = (name, file, imports, more = {}) => ({
  name,
  imports,
  launch: () => ({
    command: [python, `${benchRoot}servers/${file}`],
    env: { BENCH_TOKENS: writeTemporary('tokens.json', tokens) },
  }),
  ...more,
});

export const uws = ['uWebSockets.js'];
export const socketIo = {
  client: { dialectName: 'socketIo', path: '/socket.io/?EIO=4&transport=websocket' },
};
