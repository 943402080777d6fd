import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { ClientErrorCode, Route, WebSocketEndpoint } from '#kernel';
import { embedded, inputOf, type JsonSchema, namesIn } from './json-schema.js';
import { responsesOf } from './responses.js';

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
const json = 'application/json';
const description = [
  'Generated from the schemas that validate requests, for the routes that are currently registered.',
  'Every path also answers HEAD where it answers GET, OPTIONS with 204, and any other method with 405.',
  'While the server shuts down, paths answer 404 or 503.',
  '`X-Request-Id` is returned; the server generates one when it is absent. WebSocket frames are in `/asyncapi.json`.',
].join(' ');

const inBodies: readonly ClientErrorCode[] = [
  'INVALID_JSON',
  'INVALID_REQUEST',
  'TOO_DEEP',
  'UNSUPPORTED_MEDIA_TYPE',
];

const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer' },
  key: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
};

/**
 * An OpenAPI 3.1 document of the registered routes. `basePath` is the path under which the server is reached; `isClosed`,
 * whether it asks for credentials.
 */
export function openApi(
  routes: readonly Route[],
  endpoints: readonly WebSocketEndpoint[],
  version: string,
  basePath = '',
  isClosed = false,
): object {
  const paths = new Map<string, Record<string, object>>();
  const add = (method: string, path: string, operation: object) =>
    paths.set(plain(path), { ...paths.get(plain(path)), [method.toLowerCase()]: operation });
  // Routes last: they answer requests without a WebSocket handshake.
  for (const endpoint of endpoints) add('GET', endpoint.path, upgradeOf(endpoint, isClosed));
  for (const route of byMethod(routes)) add(route.method, route.path, operationOf(route, isClosed));
  return {
    openapi: '3.1.0',
    info: { title: 'Waggle', version, description },
    servers: [{ url: basePath || '/' }],
    ...(isClosed && { components: { securitySchemes } }),
    paths: Object.fromEntries([...paths].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function operationOf(route: Route, isClosed: boolean): object {
  const { path, docs } = route;
  return {
    ...securityOf(route, isClosed),
    summary: docs?.summary ?? 'Not described',
    parameters: [
      ...pathParameters(path, docs?.params),
      ...parametersOf('query', docs?.query, isClosed),
      ...parametersOf('header', docs?.headers, isClosed),
    ],
    ...(docs?.body && {
      requestBody: { required: true, content: { [json]: { schema: inputOf(docs.body, isClosed) } } },
    }),
    responses: {
      ...responsesOf(
        docs?.responses ?? docs?.answers ?? {},
        [...errorsOf(route), ...refusalsOf(route, isClosed)],
        docs?.error,
      ),
      // A route without docs may respond with anything.
      ...(!docs && { default: { description: 'Not described' } }),
    },
  };
}

function upgradeOf(endpoint: WebSocketEndpoint, isClosed: boolean): object {
  const { path, docs } = endpoint;
  const errors: readonly ClientErrorCode[] = [
    ...(docs?.errors ?? []),
    ...lostIn(path),
    'INVALID_REQUEST',
    'FORBIDDEN',
    'UPGRADE_REQUIRED',
    ...refusalsOf(endpoint, isClosed),
  ];
  return {
    ...securityOf(endpoint, isClosed),
    summary: docs?.summary ?? 'A WebSocket',
    parameters: [...pathParameters(path, docs?.params), ...parametersOf('query', docs?.query, isClosed)],
    responses: {
      101: { description: 'Switched to WebSocket; its frames are in `/asyncapi.json`' },
      ...responsesOf({}, errors, docs?.error),
    },
  };
}

/** A route or an endpoint. */
interface Guarded {
  readonly access?: Route['access'];
  readonly docs?: { readonly errors?: readonly ClientErrorCode[] };
}

function securityOf({ access }: Guarded, isClosed: boolean): object {
  if (!isClosed) return {};
  return {
    security: access === 'public' ? [] : Object.keys(securitySchemes).map((name) => ({ [name]: [] })),
  };
}

/** Errors of the gate; a route that asks an agent also has the budget of its user. */
function refusalsOf({ access, docs }: Guarded, isClosed: boolean): readonly ClientErrorCode[] {
  if (!isClosed || access === 'public') return [];
  const isReply = docs?.errors?.includes('AGENT_UNAVAILABLE') ?? false;
  return ['UNAUTHORIZED', 'FORBIDDEN', 'RATE_LIMITED', ...(isReply ? (['BUDGET_EXCEEDED'] as const) : [])];
}

/** Errors of the handler and of the checks before it. */
function errorsOf({ method, path, docs }: Route): readonly ClientErrorCode[] {
  return [
    ...(docs?.errors ?? []),
    ...(docs?.body ? inBodies : []),
    ...lostIn(path),
    ...(method === 'GET' ? [] : (['FORBIDDEN'] as const)),
    'TOO_LARGE',
    'BODIES_FULL',
  ];
}

/** A path segment that cannot be decoded is a 404. */
function lostIn(path: string): readonly ClientErrorCode[] {
  return namesIn(path).length > 0 ? ['NOT_FOUND'] : [];
}

function pathParameters(path: string, schema: StandardSchemaV1 | undefined): readonly object[] {
  const known = schema ? embedded(schema).properties : undefined;
  return namesIn(path).map((name) => parameter('path', name, known?.[name] ?? { type: 'string' }, true));
}

function parametersOf(
  place: string,
  schema: StandardSchemaV1 | undefined,
  isClosed: boolean,
): readonly object[] {
  const { properties = {}, required = [] } = schema ? inputOf(schema, isClosed) : {};
  return Object.entries(properties).map(([name, field]) =>
    parameter(place, name, field, required.includes(name)),
  );
}

function parameter(place: string, name: string, field: JsonSchema, required: boolean): object {
  const { description, ...schema } = field;
  return { name, in: place, required, ...(description && { description }), schema: asRead(schema) };
}

/** Numbers in queries and headers are text in their schemas and integers in the document. */
function asRead({ integer, default: value, ...schema }: JsonSchema): JsonSchema {
  const usual = value === undefined ? {} : { default: integer ? Number(value) : value };
  return integer ? { type: 'integer', ...integer, ...usual } : { ...schema, ...usual };
}

/** A path as OpenAPI writes it, which has no wildcard for the rest of a path. */
function plain(path: string): string {
  return path.replace('*}', '}');
}

function byMethod(routes: readonly Route[]): readonly Route[] {
  return [...routes].sort((a, b) => methods.indexOf(a.method) - methods.indexOf(b.method));
}
