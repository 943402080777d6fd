import { agentStatus, type RouteDocs } from '#kernel';
import { z } from '#zod';
import type { Readiness } from './readiness.js';

const health = z.object({ status: z.literal('ok'), version: z.string(), uptimeMs: z.int().min(0) });

const report = z.object({
  status: z.enum(['ready', 'not ready']),
  state: z.string().describe('`starting`, `ready`, `degraded`, `draining`, …'),
  reasons: z.array(z.string()).describe('Why the server is not ready'),
  agents: z.array(agentStatus),
}) satisfies z.ZodType<Readiness>;

export const healthDocs: RouteDocs = {
  summary: 'Liveness: whether the process responds',
  responses: { 200: { description: 'The process responds', content: { 'application/json': health } } },
};

export const readyDocs: RouteDocs = {
  summary: 'Readiness: whether the server accepts new work',
  responses: {
    200: { description: 'Ready', content: { 'application/json': report } },
    503: { description: 'Not ready, with the reasons', content: { 'application/json': report } },
  },
  errors: ['DEADLINE_EXCEEDED'],
};
