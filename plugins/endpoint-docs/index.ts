import { Access, definePlugin, Overview, type Route, Transport, WaggleError } from '#kernel';
import { assetHeaders, version } from '#sdk';
import { readAssets } from './assets.js';
import { asyncApi } from './asyncapi.js';
import { assetDocs, asyncApiDocs, openApiDocs, pageDocs } from './docs.js';
import { openApi } from './openapi.js';
import { headers, page } from './page.js';

export default definePlugin({
  name: 'endpoint-docs',
  apiVersion: 1,
  requires: { transport: Transport },
  optional: { access: Access, overview: Overview },
  async setup(_ctx, { transport, access, overview }) {
    const assets = await readAssets();
    const routes: readonly Route[] = [
      {
        method: 'GET',
        path: '/docs',
        access: 'public',
        docs: pageDocs,
        handler: ({ basePath }, reply) =>
          reply.send(200, page(basePath, `/docs/${assets.folder}`, version), headers),
      },
      {
        method: 'GET',
        path: '/docs/{folder}/{file}',
        access: 'public',
        docs: assetDocs,
        handler: ({ path, params }, reply) => {
          const asset = assets.find(params.folder as string, params.file as string);
          if (!asset) throw new WaggleError('NOT_FOUND', { path: path.slice(0, 200) });
          reply.send(200, asset.body, { ...assetHeaders, 'content-type': asset.type });
        },
      },
      {
        method: 'GET',
        path: '/openapi.json',
        access: 'public',
        docs: openApiDocs,
        handler: ({ basePath }, reply) =>
          reply.json(
            200,
            openApi(transport.routes, transport.endpoints, version, basePath, access?.isRequired),
          ),
      },
      {
        method: 'GET',
        path: '/asyncapi.json',
        access: 'public',
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
