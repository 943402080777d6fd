import {
  Access,
  ConversationStore,
  definePlugin,
  Overview,
  type Route,
  type RouteDocs,
  Transport,
} from '#kernel';
import { config } from './config.js';
import {
  changeVersion,
  deleteConversation,
  deleteMessages,
  exportAll,
  exportConversation,
  importAll,
  listConversations,
  listMessages,
  renameConversation,
  searchConversations,
} from './conversation-routes.js';
import {
  deleteDocs,
  deleteTurnDocs,
  exportAllDocs,
  exportDocs,
  importDocs,
  listDocs,
  messagesDocs,
  renameDocs,
  searchDocs,
  versionDocs,
} from './docs.js';
import { Imports } from './imports.js';

const one = '/{conversation_id}';

function route(method: Route['method'], path: string, docs: RouteDocs, handler: Route['handler']): Route {
  return { method, path: `/conversations${path}`, docs, handler };
}

export default definePlugin({
  name: 'endpoint-conversations',
  apiVersion: 1,
  config,
  requires: { transport: Transport, store: ConversationStore },
  optional: { access: Access, overview: Overview },
  setup(ctx, { transport, store, access, overview }) {
    const imports = new Imports(store);
    const routes: readonly Route[] = [
      route('GET', '', listDocs, (request, reply) => listConversations(store, request, reply)),
      route('GET', '/search', searchDocs, (request, reply) => searchConversations(store, request, reply)),
      {
        ...route('POST', '/import', importDocs, (request, reply) => importAll(imports, request, reply)),
        bodyLimitBytes: ctx.config.bodyLimitBytes,
        limitedBy: ctx.id,
      },
      route('GET', '/export', exportAllDocs, (request, reply) => exportAll(store, request, reply)),
      route('GET', `${one}/messages`, messagesDocs, (request, reply) => listMessages(store, request, reply)),
      route('GET', `${one}/export`, exportDocs, (request, reply) =>
        exportConversation(store, request, reply),
      ),
      route('DELETE', `${one}/messages/{number}`, deleteTurnDocs, (request, reply) =>
        deleteMessages(store, request, reply),
      ),
      route('POST', `${one}/versions`, versionDocs, (request, reply) => changeVersion(store, request, reply)),
      route('PATCH', one, renameDocs, (request, reply) => renameConversation(store, request, reply)),
      route('DELETE', one, deleteDocs, (request, reply) => deleteConversation(store, request, reply, access)),
    ];
    for (const each of routes) transport.route(each);
    overview?.add('conversations', '/conversations');
  },
});
