import type { RouteDocs } from '#kernel';
import { z } from '#zod';

const text = z.string();
const document = z.record(z.string(), z.unknown());

/** `GET /docs` */
export const pageDocs: RouteDocs = {
  summary: 'This documentation, for people',
  responses: { 200: { description: 'A page', content: { 'text/html': text } } },
};

/** `GET /docs/{folder}/{file}` */
export const assetDocs: RouteDocs = {
  summary: 'What the page loads',
  responses: {
    200: {
      description: 'A file that never changes',
      content: { 'text/css': text, 'text/javascript': text },
    },
  },
};

/** `GET /openapi.json` */
export const openApiDocs: RouteDocs = {
  summary: 'The routes, as OpenAPI 3.1',
  responses: { 200: { description: 'This document', content: { 'application/json': document } } },
};

/** `GET /asyncapi.json` */
export const asyncApiDocs: RouteDocs = {
  summary: 'The frames of WebSockets, as AsyncAPI 3',
  responses: { 200: { description: 'That document', content: { 'application/json': document } } },
};
