import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { HttpRequest, WebSocketEndpoint } from '#kernel';
import { embedded, namesIn } from './json-schema.js';

type Frames = Readonly<Record<string, StandardSchemaV1>>;

/** An AsyncAPI 3 document of the WebSocket frames. `receive` means received by this server. */
export function asyncApi(
  endpoints: readonly WebSocketEndpoint[],
  version: string,
  called?: Pick<HttpRequest, 'origin' | 'basePath'>,
): object {
  const sorted = [...endpoints].sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Waggle',
      version,
      description: 'The WebSocket frames of the endpoints that are currently registered.',
    },
    defaultContentType: 'application/json',
    ...(called && { servers: { here: serverOf(called) } }),
    channels: Object.fromEntries(sorted.map((endpoint) => [endpoint.path, channelOf(endpoint)])),
    operations: Object.fromEntries(sorted.flatMap(operationsOf)),
  };
}

function serverOf({ origin, basePath }: Pick<HttpRequest, 'origin' | 'basePath'>): object {
  const { protocol, host } = new URL(origin);
  return { host, protocol: protocol === 'https:' ? 'wss' : 'ws', pathname: basePath || '/' };
}

function channelOf({ path, docs }: WebSocketEndpoint): object {
  const known = docs?.params ? embedded(docs.params).properties : undefined;
  const parameters = namesIn(path).map((name) => [name, { description: known?.[name]?.description ?? name }]);
  return {
    address: path,
    summary: docs?.summary ?? 'Not described',
    ...(docs?.description && { description: docs.description }),
    ...(parameters.length > 0 && { parameters: Object.fromEntries(parameters) }),
    ...(docs?.query && { bindings: { ws: { method: 'GET', query: embedded(docs.query) } } }),
    messages: { ...messagesOf('receive', docs?.receives), ...messagesOf('send', docs?.sends) },
  };
}

// `message` exists in both directions, so the direction is part of the key.
function messagesOf(action: string, frames: Frames = {}): Record<string, object> {
  const messages = Object.entries(frames).map(([type, schema]) => {
    const { description, properties, required = [], ...rest } = embedded(schema);
    const payload = {
      ...rest,
      properties: { type: { type: 'string', const: type }, ...properties },
      required: [...new Set(['type', ...required])],
    };
    return [`${action}.${type}`, { name: type, ...(description && { summary: description }), payload }];
  });
  return Object.fromEntries(messages);
}

function operationsOf({ path, docs }: WebSocketEndpoint): readonly (readonly [string, object])[] {
  const channel = `#/channels/${encodeURI(path.replaceAll('/', '~1'))}`;
  const operation = (action: string, frames: Frames = {}) =>
    [
      `${action} ${path}`,
      {
        action,
        channel: { $ref: channel },
        messages: Object.keys(frames).map((type) => ({ $ref: `${channel}/messages/${action}.${type}` })),
      },
    ] as const;
  return [operation('receive', docs?.receives), operation('send', docs?.sends)];
}
