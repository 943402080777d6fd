import { agentStatus, type RouteDocs } from '#kernel';
import { z } from '#zod';
import type { Readiness } from './readiness.js';

const health = z.object({ status: z.literal('ok'), version: z.string(), uptimeMs: z.int().min(0) });

const report = z.object({
  status: z.enum(['ready', 'not ready']),
  state: z.string().describe('`starting`, `ready`, `degraded`, `draining`, …'),
  reasons: z.array(z.string()).describe('Why it is not ready'),
  agents: z.array(agentStatus),
}) satisfies z.ZodType<Readiness>;

/** `GET /health` */
export const healthDocs: RouteDocs = {
  summary: 'Whether the process can answer',
  responses: { 200: { description: 'It can', content: { 'application/json': health } } },
};

/** `GET /ready` */
export const readyDocs: RouteDocs = {
  summary: 'Whether new work may be sent here',
  responses: {
    200: { description: 'It may', content: { 'application/json': report } },
    503: { description: 'It may not, with the reasons', content: { 'application/json': report } },
  },
  errors: ['DEADLINE_EXCEEDED'],
};
