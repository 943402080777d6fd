import type { RouteDocs } from '#kernel';
import { z } from '#zod';

/** `GET /metrics` */
export const metricsDocs: RouteDocs = {
  summary: 'All figures, for Prometheus',
  responses: {
    200: {
      description: 'The text format of Prometheus, version 0.0.4',
      content: { 'text/plain': z.string() },
    },
  },
};
