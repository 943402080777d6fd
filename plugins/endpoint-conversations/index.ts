import { Access, ConversationStore, definePlugin, Overview, type Route, Transport } from '#kernel';
import {
  deleteConversation,
  exportAll,
  exportConversation,
  listConversations,
  listMessages,
} from './conversation-routes.js';
import { deleteDocs, exportAllDocs, exportDocs, listDocs, messagesDocs } from './docs.js';

export default definePlugin({
  name: 'endpoint-conversations',
  apiVersion: 1,
  requires: { transport: Transport, store: ConversationStore },
  optional: { access: Access, overview: Overview },
  setup(_ctx, { transport, store, access, overview }) {
    const routes: readonly Route[] = [
      {
        method: 'GET',
        path: '/conversations',
        docs: listDocs,
        handler: (request, reply) => listConversations(store, request, reply),
      },
      {
        method: 'GET',
        path: '/conversations/export',
        docs: exportAllDocs,
        handler: (request, reply) => exportAll(store, request, reply),
      },
      {
        method: 'GET',
        path: '/conversations/{conversation_id}/messages',
        docs: messagesDocs,
        handler: (request, reply) => listMessages(store, request, reply),
      },
      {
        method: 'GET',
        path: '/conversations/{conversation_id}/export',
        docs: exportDocs,
        handler: (request, reply) => exportConversation(store, request, reply),
      },
      {
        method: 'DELETE',
        path: '/conversations/{conversation_id}',
        docs: deleteDocs,
        handler: (request, reply) => deleteConversation(store, request, reply, access),
      },
    ];
    for (const route of routes) transport.route(route);
    overview?.add('conversations', '/conversations');
  },
});
