import type { PluginContext } from '../contracts/plugin-context.js';
import type { Route, Transport } from '../contracts/transport.js';

/**
 * Registers routes, and replaces them whenever the config has changed: at once, so that no request misses them. Requests
 * under way go on.
 */
export function liveRoutes(
  ctx: Pick<PluginContext, 'onConfig'>,
  transport: Pick<Transport, 'route'>,
  routes: () => readonly Route[],
): void {
  const add = () => routes().map((route) => transport.route(route));
  let undos = add();
  ctx.onConfig(() => {
    for (const undo of undos) void undo();
    undos = add();
  });
}
