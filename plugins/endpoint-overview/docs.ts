import { agentStatus, type RouteDocs } from '#kernel';
import { z } from '#zod';

const overview = z.object({
  message: z.literal('Chat Backend API'),
  version: z.string(),
  endpoints: z.record(z.string(), z.string()).describe('Paths by name'),
});

/** `GET /` */
export const overviewDocs: RouteDocs = {
  summary: 'Overview of the endpoints',
  responses: { 200: { description: 'The endpoints', content: { 'application/json': overview } } },
};

/** `GET /agents` */
export const agentsDocs: RouteDocs = {
  summary: 'The agents and their health',
  responses: {
    200: {
      description: 'The agents',
      content: { 'application/json': z.object({ agents: z.array(agentStatus) }) },
    },
  },
  errors: ['DEADLINE_EXCEEDED'],
};
