import type { Plugin } from '../../../kernel/index.js';
import { bodiesContract } from './bodies.contract.js';
import { limitsContract } from './limits.contract.js';
import { roomContract } from './room.contract.js';
import { routesContract } from './routes.contract.js';
import { shutdownContract } from './shutdown.contract.js';
import { streamsContract } from './streams.contract.js';
import { websocketsContract } from './websockets.contract.js';

/** The promises of the contract `Transport`; `module` is the URL of the built plugin, for a process of its own. */
export function transportContract(name: string, plugin: Plugin, module: string): void {
  routesContract(name, plugin);
  bodiesContract(name, plugin);
  streamsContract(name, plugin);
  websocketsContract(name, plugin);
  limitsContract(name, plugin);
  roomContract(name, plugin);
  shutdownContract(name, plugin, module);
}
