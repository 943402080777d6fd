import { tokens } from '../answers/corpus.mjs';
import { launchWaggle } from '../waggle/launch.mjs';
import { benchRoot, nodeFlags } from './process.mjs';
import { python } from './python.mjs';
import { writeTemporary } from './temp-folder.mjs';

/**
 * A server under test. `needs` are packages of this folder, `imports` modules of Python, without which it is left out.
 * `rival` is the row of ours that it is compared with, `reference` the row that its ratio refers to; those of the
 * workload when absent.
 * @typedef {{ name: string, launch: Function, needs?: string[], imports?: string[], client?: object, rival?: string, reference?: string }} Contender
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

/** The same server in one of several rows. `reference` is the name of a server, whose row of this kind is meant. */
export const variant = (contender, label, { reference, ...more } = {}) => ({
  ...contender,
  name: `${contender.name}, ${label}`,
  rival: `waggle, ${label}`,
  ...(reference && { reference: `${reference}, ${label}` }),
  ...more,
});
