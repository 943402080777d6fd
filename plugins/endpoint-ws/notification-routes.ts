import { type Clients, clientChosenId, type HttpResponse, type Route, type RouteDocs } from '#kernel';
import { expectValid } from '#sdk';
import { z } from '#zod';

const body = z.strictObject({
  topic: z.string().min(1).max(128),
  data: z.unknown().describe('Any JSON').optional(),
});
const sent = z.object({
  seq: z.number().describe('The number of the notification'),
  online: z.boolean().describe('Whether a connection to this server is open that gets it now'),
});
const params = z.object({ user_id: clientChosenId });

const docsOf = (summary: string): RouteDocs => ({
  summary,
  body,
  responses: {
    202: { description: 'Sent, and kept for those who come later', content: { 'application/json': sent } },
  },
});

/** Notifications of operators. */
export function notificationRoutes(clients: Clients): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/notifications',
      access: 'admin',
      docs: docsOf('Notify all users'),
      handler: async (request, response) => {
        const { topic, data } = await expectValid(body, await request.json());
        respond(response, await clients.broadcast(topic, data), clients.count > 0);
      },
    },
    {
      method: 'POST',
      path: '/users/{user_id}/notifications',
      access: 'admin',
      docs: { ...docsOf('Notify one user'), params },
      handler: async (request, response) => {
        const { user_id: userId } = await expectValid(params, request.params);
        const { topic, data } = await expectValid(body, await request.json());
        respond(response, await clients.send(userId, topic, data), clients.online(userId));
      },
    },
  ];
}

function respond(response: HttpResponse, seq: number, online: boolean): void {
  response.json(202, { seq, online } satisfies z.infer<typeof sent>);
}
