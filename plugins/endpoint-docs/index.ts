import { definePlugin, Overview, type Route, Transport, WaggleError } from '#kernel';
import { version } from '#sdk';
import { Assets } from './assets.js';
import { asyncApi } from './asyncapi.js';
import { assetDocs, asyncApiDocs, openApiDocs, pageDocs } from './docs.js';
import { openApi } from './openapi.js';
import { page, pageHeaders } from './page.js';

export default definePlugin({
  name: 'endpoint-docs',
  apiVersion: 1,
  requires: { transport: Transport },
  optional: { overview: Overview },
  async setup(_ctx, { transport, overview }) {
    const assets = await Assets.read();
    const routes: readonly Route[] = [
      {
        method: 'GET',
        path: '/docs',
        docs: pageDocs,
        handler: ({ basePath }, reply) =>
          reply.send(200, page(basePath, `/docs/${assets.folder}`, version), pageHeaders),
      },
      {
        method: 'GET',
        path: '/docs/{folder}/{file}',
        docs: assetDocs,
        handler: ({ path, params }, reply) => {
          const asset = assets.find(params.folder as string, params.file as string);
          if (!asset) throw new WaggleError('NOT_FOUND', { path: path.slice(0, 200) });
          reply.send(200, asset.body, {
            'content-type': asset.type,
            'cache-control': 'public, max-age=31536000, immutable',
            'x-content-type-options': 'nosniff',
          });
        },
      },
      {
        method: 'GET',
        path: '/openapi.json',
        docs: openApiDocs,
        handler: ({ basePath }, reply) =>
          reply.json(200, openApi(transport.routes, transport.endpoints, version, basePath)),
      },
      {
        method: 'GET',
        path: '/asyncapi.json',
        docs: asyncApiDocs,
        handler: (request, reply) => reply.json(200, asyncApi(transport.endpoints, version, request)),
      },
    ];
    for (const route of routes) transport.route(route);
    overview?.add('docs', '/docs');
    overview?.add('openapi', '/openapi.json');
    overview?.add('asyncapi', '/asyncapi.json');
  },
});
