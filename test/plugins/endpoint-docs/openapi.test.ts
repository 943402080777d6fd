import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Route, RouteDocs, WebSocketEndpoint } from '#kernel';
import { integerText } from '#sdk/http';
import { openApi } from '../../../plugins/endpoint-docs/openapi.js';

// biome-ignore lint/suspicious/noExplicitAny: tests look into documents freely
type Json = any;

const route = (method: Route['method'], path: string, docs?: RouteDocs): Route => ({
  method,
  path,
  handler: () => {},
  ...(docs && { docs }),
});
const endpoint = (path: string): WebSocketEndpoint => ({ path, open: () => ({ message: () => {} }) });
const document = (routes: readonly Route[], endpoints: readonly WebSocketEndpoint[] = []): Json =>
  JSON.parse(JSON.stringify(openApi(routes, endpoints, '1.2.3')));

const bee = z.object({ name: z.string().describe('What it is called'), age: z.int().default(0) });
const described: RouteDocs = {
  summary: 'Change a bee',
  params: z.object({ id: z.string().regex(/^\d+$/).describe('Its number') }),
  query: z.object({ dry: z.enum(['yes', 'no']), why: z.string().optional() }),
  headers: z.object({ 'If-Match': z.string().optional() }),
  body: bee,
  responses: {
    200: { description: 'The bee', content: { 'application/json': bee } },
    409: { description: 'It flew away', content: { 'application/json': z.object({ to: z.string() }) } },
  },
  errors: ['BUSY', 'QUEUE_FULL'],
};

describe('an OpenAPI document', () => {
  it('is valid, and every schema in it can be used', async () => {
    const made = document(
      [route('PUT', '/bees/{id}', described), route('GET', '/bare')],
      [endpoint('/hum/{id}')],
    );
    expect(await new Validator().validate(structuredClone(made))).toEqual({ valid: true });
    const schemas: object[] = [];
    JSON.stringify(made, (key, value) => {
      if (key === 'schema') schemas.push(value);
      return value;
    });
    expect(schemas.length).toBeGreaterThan(10);
    const ajv = new Ajv2020({ strict: true });
    for (const schema of schemas) ajv.compile(schema);
  });

  it('tells what a route takes', () => {
    const { parameters, requestBody, summary } = document([route('PUT', '/bees/{id}', described)]).paths[
      '/bees/{id}'
    ].put;
    expect(summary).toBe('Change a bee');
    expect(parameters).toEqual([
      {
        name: 'id',
        in: 'path',
        required: true,
        description: 'Its number',
        schema: { type: 'string', pattern: '^\\d+$' },
      },
      { name: 'dry', in: 'query', required: true, schema: { type: 'string', enum: ['yes', 'no'] } },
      { name: 'why', in: 'query', required: false, schema: { type: 'string' } },
      { name: 'If-Match', in: 'header', required: false, schema: { type: 'string' } },
    ]);
    expect(requestBody).toMatchObject({
      required: true,
      content: { 'application/json': { schema: { required: ['name'] } } },
    });
  });

  it('tells what a route answers: its own answers, its errors, and what is refused before it is asked', () => {
    const { responses } = document([route('PUT', '/bees/{id}', described)]).paths['/bees/{id}'].put;
    const codes = (schema: Json) => schema.properties.error.properties.code.enum;
    const schemaOf = (status: string) => responses[status].content['application/json'].schema;
    expect(Object.keys(responses)).toEqual(['200', '400', '403', '404', '409', '413', '415', '429', '503']);
    expect(codes(schemaOf('400'))).toEqual(['INVALID_JSON', 'INVALID_REQUEST', 'TOO_DEEP']);
    expect(codes(schemaOf('403'))).toEqual(['FORBIDDEN']);
    expect(codes(schemaOf('404'))).toEqual(['NOT_FOUND']);
    expect(codes(schemaOf('503'))).toEqual(['QUEUE_FULL']);
    const [own, error] = schemaOf('409').anyOf;
    expect(own.required).toEqual(['to']);
    expect(codes(error)).toEqual(['BUSY']);
    expect(responses['409'].description).toBe('It flew away');
  });

  it('shows a stream by one of its events, and a number where a query has one', () => {
    const data = z.object({ type: z.literal('token') });
    const docs: RouteDocs = {
      summary: '',
      query: z.object({ limit: integerText(1, 100).default('50'), before: integerText(0).optional() }),
      responses: {
        200: { description: '', content: { 'text/event-stream': data, 'application/x-ndjson': data } },
      },
    };
    const { parameters, responses } = document([route('GET', '/x', docs)]).paths['/x'].get;
    expect(parameters.map(({ schema }: Json) => schema)).toEqual([
      { type: 'integer', minimum: 1, maximum: 100, default: 50 },
      { type: 'integer', minimum: 0, maximum: 999_999_999_999_999 },
    ]);
    const { content } = responses[200];
    const line = content['application/x-ndjson'].schema;
    expect(content['text/event-stream'].schema).toMatchObject({
      required: ['data'],
      properties: { data: { type: 'string', contentSchema: line }, id: {}, event: {} },
    });
    expect(responses).not.toHaveProperty('default');
  });

  it.each([
    ['besides JSON', z.union([z.object({ a: z.int() }), z.object({ b: z.int() }), z.literal('[DONE]')]), 2],
    ['besides one kind of it', z.union([z.literal('[DONE]'), z.object({ a: z.int() })]), 1],
  ])('shows data that is a text as it stands, %s', (_, data, kinds) => {
    const docs: RouteDocs = {
      summary: '',
      responses: { 200: { description: '', content: { 'text/event-stream': data } } },
    };
    const { responses } = document([route('GET', '/x', docs)]).paths['/x'].get;
    const [json, text, ...more] = responses[200].content['text/event-stream'].schema.properties.data.anyOf;
    expect(json).toMatchObject({ type: 'string', contentMediaType: 'application/json' });
    expect(json.contentSchema.anyOf).toHaveLength(kinds);
    expect(text).toEqual({ type: 'string', const: '[DONE]' });
    expect(more).toEqual([]);
  });

  it('lists a route that describes nothing', () => {
    const { get } = document([route('GET', '/bare/{a}/{b_2}')]).paths['/bare/{a}/{b_2}'];
    expect(get.summary).toBe('Not described');
    expect(get.parameters.map(({ name }: Json) => name)).toEqual(['a', 'b_2']);
    expect(Object.keys(get.responses)).toEqual(['404', '413', '429', 'default']);
  });

  it('takes a schema that cannot say itself for one that allows anything', () => {
    const silent = { '~standard': { version: 1, vendor: 'x', validate: () => ({ value: 1 }) } } as const;
    const unsayable = z.custom(() => true);
    for (const body of [silent, unsayable]) {
      const { post } = document([route('POST', '/x', { summary: '', body, responses: {} })]).paths['/x'];
      expect(post.requestBody.content['application/json'].schema).toEqual({});
    }
  });

  it('lists a WebSocket as the handshake that it begins with, unless a route answers there, too', () => {
    const { responses } = document([], [endpoint('/hum/{id}')]).paths['/hum/{id}'].get;
    expect(Object.keys(responses)).toEqual(['101', '400', '403', '404', '426']);
    const both = document([route('GET', '/hum', described)], [endpoint('/hum')]).paths['/hum'];
    expect(both.get.summary).toBe('Change a bee');
  });

  it('does not depend on the order of registration', () => {
    const routes = [
      route('DELETE', '/b'),
      route('GET', '/b'),
      route('POST', '/a/{x}', described),
      route('GET', '/'),
    ];
    const endpoints = [endpoint('/z'), endpoint('/c')];
    const text = JSON.stringify(openApi(routes, endpoints, '1'));
    expect(JSON.stringify(openApi([...routes].reverse(), [...endpoints].reverse(), '1'))).toBe(text);
    expect(Object.keys(document(routes, endpoints).paths)).toEqual(['/', '/a/{x}', '/b', '/c', '/z']);
    expect(Object.keys(document(routes, endpoints).paths['/b'])).toEqual(['get', 'delete']);
  });
});
