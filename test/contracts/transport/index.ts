import type { Plugin } from '../../../kernel/index.js';
import { bodiesContract } from './bodies.contract.js';
import { limitsContract } from './limits.contract.js';
import { routesContract } from './routes.contract.js';
import { shutdownContract } from './shutdown.contract.js';
import { streamsContract } from './streams.contract.js';
import { websocketsContract } from './websockets.contract.js';

/** All cases of a transport, by its name below `plugins/`. */
export function transportContract(name: string, plugin: Plugin): void {
  routesContract(name, plugin);
  bodiesContract(name, plugin);
  streamsContract(name, plugin);
  websocketsContract(name, plugin);
  limitsContract(name, plugin);
  shutdownContract(name, plugin);
}
