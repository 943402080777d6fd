import { type Route, type RouteAccess, type RouteDocs, WaggleError } from '#kernel';
import type { Assets } from './assets.js';
import { assetDocs, chatDocs, inspectorDocs } from './docs.js';
import { assetHeaders, pageHeaders, sendTagged } from './page-headers.js';

/** The chat page and the files of both pages. */
export function chatRoutes(assets: Assets): readonly Route[] {
  return [
    page(assets, '/ui', 'chat.html', 'public', chatDocs),
    page(assets, '/ui/', 'chat.html', 'public', chatDocs),
    {
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
    },
  ];
}

/** `GET /ui/inspector` */
export function inspectorPage(assets: Assets): Route {
  return page(assets, '/ui/inspector', 'inspector.html', 'admin', inspectorDocs);
}

function page(assets: Assets, path: string, file: string, access: RouteAccess, docs: RouteDocs): Route {
  return {
    ...{ method: 'GET', path, access, docs },
    handler: async (request, reply) => {
      const { html, etag } = await assets.page(file, request.basePath);
      sendTagged(request, reply, html, { ...pageHeaders, etag });
    },
  };
}
