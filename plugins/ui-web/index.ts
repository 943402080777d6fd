import {
  ChatStreams,
  definePlugin,
  Overview,
  type RouteDocs,
  TaskEngine,
  Transport,
  WaggleError,
} from '#kernel';
import { Assets } from './assets.js';
import { config } from './config.js';
import { assetDocs, chatDocs, inspectorDocs, stateDocs } from './docs.js';
import { inspection } from './inspection.js';
import { assetHeaders, pageHeaders, pageUrl, sendTagged } from './page-headers.js';
import { ReplyHistory } from './reply-history.js';
import { Sampler } from './sampler.js';

export default definePlugin({
  name: 'ui-web',
  apiVersion: 1,
  config,
  requires: { transport: Transport },
  optional: { streams: ChatStreams, engine: TaskEngine, overview: Overview },
  setup(ctx, { transport, streams, engine, overview }) {
    const assets = new Assets();
    const addPage = (path: string, file: string, docs: RouteDocs) =>
      transport.route({
        method: 'GET',
        path,
        access: 'public',
        docs,
        handler: async (request, reply) => {
          const { html, etag } = await assets.page(file, request.basePath);
          sendTagged(request, reply, html, { ...pageHeaders, etag });
        },
      });

    addPage('/ui', 'chat.html', chatDocs);
    addPage('/ui/', 'chat.html', chatDocs);
    transport.route({
      method: 'GET',
      path: '/ui/{version}/{folder}/{file}',
      access: 'public',
      docs: assetDocs,
      handler: async (request, reply) => {
        const { version = '', folder = '', file = '' } = request.params;
        const asset = await assets.find(version, folder, file);
        if (!asset) throw new WaggleError('NOT_FOUND', { path: request.path.slice(0, 200) });
        const { body, type, etag } = asset;
        sendTagged(request, reply, body, { ...assetHeaders, 'content-type': type, etag });
      },
    });
    overview?.add('ui', '/ui');
    ctx.onReady(() => ctx.logger.info({ url: pageUrl(transport) }, 'the chat page'));
    if (!ctx.config.inspector) return;

    const sampler = new Sampler({ streams, tasks: engine }, (err) =>
      ctx.logger.error({ err }, 'cannot take a sample'),
    );
    ctx.effect('samples', () => sampler.open());
    const startedAtMs = performance.now();
    const { tasks, inspect } = ctx;
    const history = new ReplyHistory(ctx.bus);
    const inspected = { inspect, transport, streams, engine, tasks, history, sampler, startedAtMs };
    addPage('/ui/inspector', 'inspector.html', inspectorDocs);
    transport.route({
      method: 'GET',
      path: '/ui/state',
      access: 'admin',
      docs: stateDocs,
      handler: (_request, reply) =>
        reply.json(200, inspection(inspected), {
          'cache-control': 'no-store',
          'x-content-type-options': 'nosniff',
        }),
    });
    overview?.add('inspector', '/ui/inspector');
  },
});
