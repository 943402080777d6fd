import type { RouteDocs } from '#kernel';
import { z } from '#zod';

export const metricsDocs: RouteDocs = {
  summary: 'Metrics for Prometheus',
  responses: {
    200: {
      description: 'Prometheus text format, version 0.0.4',
      content: { 'text/plain': z.string() },
    },
  },
};
