import { ChatStreams, definePlugin, Overview, type Route, TaskEngine, Transport } from '#kernel';
import { config } from './config.js';
import { deleteDocs, getDocs, jsonRpcError, postDocs } from './docs.js';
import { Door } from './door.js';
import { isOffered, Offers } from './offers.js';

const path = '/mcp';
/** Between two looks for idle sessions. */
const idleCheckMs = 10_000;

/** Offers tasks and agents to MCP clients. */
export default definePlugin({
  name: 'endpoint-mcp',
  apiVersion: 1,
  config,
  requires: { transport: Transport, engine: TaskEngine, streams: ChatStreams },
  optional: { overview: Overview },
  setup(ctx, { transport, engine, streams, overview }) {
    const { agents, bodyLimitBytes, resultLimitChars } = ctx.config;
    const offers = new Offers(ctx.tasks, ctx.agents, agents, ctx.logger);
    const door = new Door(ctx.config, offers, { engine, streams, resultLimitChars }, ctx.logger);
    ctx.effect('MCP sessions', () => () => door.close());
    ctx.every('idle MCP sessions', idleCheckMs, () => door.sessions.endIdle());

    const changed = (matters: boolean) => matters && door.changed();
    const taskChanged = (task: Parameters<typeof isOffered>[0]) => void changed(isOffered(task));
    ctx.tasks.watch({ added: taskChanged, removed: taskChanged });
    const agentChanged = ({ name }: { readonly name: string }) => void changed(agents.includes(name));
    ctx.agents.watch({ added: agentChanged, removed: agentChanged });

    transport.errors({ path, format: jsonRpcError });
    const handler: Route['handler'] = (request, response) => door.handle(request, response);
    transport.route({ method: 'POST', path, docs: postDocs, bodyLimitBytes, limitedBy: ctx.id, handler });
    transport.route({ method: 'GET', path, docs: getDocs, handler });
    transport.route({ method: 'DELETE', path, docs: deleteDocs, handler });
    overview?.add('mcp', path);
  },
});
