import type { PluginReport } from '../../contracts/report.js';
import { ChatStreams } from '../../contracts/stream.js';
import { Transport } from '../../contracts/transport.js';
import type { Kernel } from '../../kernel.js';
import type { Token } from '../../services.js';
import { tokenId } from '../../services.js';

/** Running work that a plugin has to do with. */
export interface Touched {
  /** Replies of its agents, or all of them where it provides them. */
  readonly replies: number;
  /** Open WebSockets of its endpoints, or all connections where it owns the port. */
  readonly connections: number;
}

/** The running work of each plugin at this moment, by id. */
export function touchedBy(kernel: Kernel): ReadonlyMap<string, Touched> {
  const { plugins } = kernel.inspect();
  const streams = serviceOf(kernel, ChatStreams);
  const transport = serviceOf(kernel, Transport);
  const running = (streams?.list() ?? []).filter(({ ended }) => !ended);
  const touched = (plugin: PluginReport): Touched => {
    const agents = namesOf(plugin, 'agent');
    const ofAgents = running.filter(({ progress }) => progress && agents.includes(progress.agent));
    const routes = namesOf(plugin, 'route');
    const endpoints = (transport?.endpoints ?? []).filter(({ path }) => routes.includes(`WS ${path}`));
    const open = endpoints.reduce((sum, endpoint) => sum + (transport?.openAt(endpoint) ?? 0), 0);
    return {
      replies: provides(plugin, ChatStreams) ? running.length : ofAgents.length,
      connections: provides(plugin, Transport) ? (transport?.connections.open ?? 0) : open,
    };
  };
  return new Map(plugins.map((plugin) => [plugin.id, touched(plugin)]));
}

function namesOf({ registrations }: PluginReport, kind: string): readonly string[] {
  return registrations.filter((each) => each.kind === kind).map(({ name }) => name);
}

function provides({ provides }: PluginReport, token: symbol): boolean {
  return provides.includes(tokenId(token));
}

function serviceOf<T>(kernel: Kernel, token: Token<T>): T | undefined {
  const isThere = kernel.inspect().plugins.some((plugin) => provides(plugin, token));
  try {
    return isThere ? kernel.get(token) : undefined;
  } catch {
    return undefined; // Its plugin does not run.
  }
}
