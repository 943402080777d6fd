import { Access, ChatStreams, definePlugin, Overview, Shards, TaskEngine, Transport } from '#kernel';
import { Assets } from './assets.js';
import { config } from './config.js';
import { cancelRoute, stateRoute } from './inspector-routes.js';
import { pageUrl } from './page-headers.js';
import { chatRoutes, inspectorPage } from './page-routes.js';
import { refusalPage } from './refusal-page.js';
import { ReplyHistory } from './reply-history.js';
import { Sampler } from './sampler.js';
import { sessionRoutes } from './session-routes.js';
import { SessionSeal } from './session-seal.js';
import { Sessions } from './sessions.js';

export default definePlugin({
  name: 'ui-web',
  apiVersion: 1,
  config,
  requires: { transport: Transport },
  optional: {
    ...{ access: Access, streams: ChatStreams, engine: TaskEngine, shards: Shards, overview: Overview },
  },
  setup(ctx, { transport, access, streams, engine, shards, overview }) {
    const { inspector, sessionSecret } = ctx.config;
    const assets = new Assets();
    for (const route of chatRoutes(assets)) transport.route(route);
    overview?.add('ui', '/ui');
    ctx.onReady(() => ctx.logger.info({ url: pageUrl(transport) }, 'the chat page'));

    if (access) {
      const sessions = new Sessions(access, new SessionSeal(sessionSecret));
      ctx.effect('sessions that were signed out', () => sessions.open());
      access.add(sessions);
      for (const route of sessionRoutes(sessions, access)) transport.route(route);
      ctx.onReady(() => {
        if (!access.isRequired || sessionSecret !== '') return;
        if (shards) ctx.logger.warn('sessions of the page hold in one process only: set sessionSecret');
        else ctx.logger.info('sessions of the page end with a restart: there is no sessionSecret');
      });
    }
    if (!inspector) return;

    const sampler = new Sampler({ streams, tasks: engine }, (err) =>
      ctx.logger.error({ err }, 'cannot take a sample'),
    );
    ctx.effect('samples', () => sampler.open());
    const startedAtMs = performance.now();
    const { tasks, inspect } = ctx;
    const history = new ReplyHistory(ctx.bus);
    const inspected = { inspect, transport, access, streams, engine, tasks, history, sampler, startedAtMs };
    transport.route(inspectorPage(assets));
    transport.errors(refusalPage);
    transport.route(stateRoute(inspected, shards));
    if (streams) transport.route(cancelRoute(inspected, streams, access, shards));
    overview?.add('inspector', '/ui/inspector');
  },
});
