import type { RouteDocs } from '#kernel';
import { z } from '#zod';

const text = z.string();
const document = z.record(z.string(), z.unknown());

export const pageDocs: RouteDocs = {
  summary: 'This documentation as a page',
  responses: { 200: { description: 'An HTML page', content: { 'text/html': text } } },
};

export const assetDocs: RouteDocs = {
  summary: 'A file of the documentation page',
  responses: {
    200: {
      description: 'An immutable file',
      content: { 'text/css': text, 'text/javascript': text },
    },
  },
};

export const openApiDocs: RouteDocs = {
  summary: 'The routes as an OpenAPI 3.1 document',
  responses: { 200: { description: 'This document', content: { 'application/json': document } } },
};

export const asyncApiDocs: RouteDocs = {
  summary: 'The WebSocket frames as an AsyncAPI 3 document',
  responses: { 200: { description: 'The AsyncAPI document', content: { 'application/json': document } } },
};
