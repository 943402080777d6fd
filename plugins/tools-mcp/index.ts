import { definePlugin, type TaskDefinition } from '#kernel';
import { config } from './config.js';
import { ToolServer } from './tool-server.js';
import { ToolServers } from './tool-servers.js';

/** Registers the tools of MCP servers as tasks that models may call. */
export default definePlugin({
  name: 'tools-mcp',
  apiVersion: 1,
  config,
  live: ['servers'],
  setup(ctx) {
    const servers = new ToolServers((name, server, packages) => {
      // A list that comes while the plugin stops registers nothing more.
      const register = (task: TaskDefinition) => (ctx.signal.aborted ? () => {} : ctx.registerTask(task));
      return new ToolServer(name, server, ctx.config, packages, ctx.logger, register);
    });
    ctx.effect('connections to MCP servers', () => () => servers.close());
    const follow = () => servers.become(ctx.config.servers, ctx.config.startWaitMs);
    ctx.onReady(follow);
    ctx.onConfig(follow);
  },
});
