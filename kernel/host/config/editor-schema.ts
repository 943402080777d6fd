import type { StandardSchemaV1 } from '@standard-schema/spec';
import { jsonSchemaOf } from '../../json-schema.js';
import { configFile } from './read-config.js';

/** A built-in plugin with its config. */
export interface Configurable {
  readonly name: string;
  readonly config?: StandardSchemaV1;
  readonly docs: ReadonlyMap<string, string>;
  /** Keys that it takes while it runs. */
  readonly live?: true | readonly string[];
}

type Node = Readonly<Record<string, unknown>>;

const placeholder = {
  description: 'An environment variable',
  type: 'string',
  pattern: '\\$\\{[A-Za-z_]\\w*(:-[^}]*)?\\}',
};
const nullable = ['object', 'null'];

/**
 * The JSON Schema (draft-07, which editors know) of one config file. No key is required, because another file may have it,
 * and plugins that are not built in may have any config.
 */
export function fileSchema(plugins: readonly Configurable[]): Node {
  const { properties } = layer(jsonSchemaOf(configFile) as Node) as { readonly properties: NodesByName };
  const { server, plugins: all, extensions } = properties as Required<NodesByName>;
  const entry = (all as { readonly additionalProperties: Node }).additionalProperties;
  const configured = plugins.filter(({ config }) => config && jsonSchemaOf(config));
  const names = { anyOf: [{ enum: plugins.map(({ name }) => name) }, { type: 'string', minLength: 1 }] };
  const own = (name: string) => ({ properties: { config: { $ref: `#/definitions/${name}` } } });
  const plugin = {
    ...entry,
    type: nullable,
    properties: { ...(entry.properties as NodesByName), use: names, fallback: names },
    allOf: configured.map(({ name }) => ({
      if: { required: ['use'], properties: { use: { const: name } } },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: own(name),
    })),
  };
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Waggle',
    description:
      'A config file of Waggle. Files are laid over each other: maps are merged, lists and scalars replaced.',
    type: nullable,
    properties: {
      server: { ...server, type: nullable },
      plugins: {
        type: nullable,
        properties: Object.fromEntries(
          plugins.map((each) => [
            each.name,
            {
              allOf: [{ $ref: '#/definitions/plugin' }],
              // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
              ...(configured.includes(each) && { if: { not: { required: ['use'] } }, then: own(each.name) }),
            },
          ]),
        ),
        additionalProperties: { $ref: '#/definitions/plugin' },
      },
      extensions: {
        ...extensions,
        description: 'A folder, relative to this file, whose plugins are loaded, too',
      },
    },
    patternProperties: { '^x-': { description: 'A place for anchors; nothing reads it' } },
    additionalProperties: false,
    definitions: {
      placeholder,
      plugin,
      ...Object.fromEntries(configured.map((each) => [each.name, described(each)])),
    },
  };
}

type NodesByName = Readonly<Record<string, Node>>;

function described({ config, docs }: Configurable): Node {
  const { $schema: _, ...node } = layer(jsonSchemaOf(config as StandardSchemaV1) as Node);
  const properties = Object.entries((node.properties ?? {}) as NodesByName).map(([key, each]) => {
    const description = docs.get(key);
    return [key, description ? { description, ...each } : each];
  });
  return { ...node, properties: Object.fromEntries(properties) };
}

/** A schema without required keys, where `${NAME}` may replace any scalar. */
function layer({ required: _, default: usual, ...node }: Node): Node {
  const withDefault = usual === undefined || typeof usual === 'object' ? {} : { default: usual };
  const { type, minimum, maximum } = node as { readonly minimum?: number; readonly maximum?: number } & Node;
  if (type === 'object') {
    const { properties = {}, additionalProperties } = node as { readonly properties?: NodesByName } & Node;
    return {
      ...node,
      properties: Object.fromEntries(Object.entries(properties).map(([key, each]) => [key, layer(each)])),
      ...(typeof additionalProperties === 'object' && {
        additionalProperties: layer(additionalProperties as Node),
      }),
    };
  }
  if (type === 'array') return { ...node, items: layer((node.items ?? {}) as Node) };
  if (Array.isArray(node.anyOf)) return { ...node, anyOf: node.anyOf.map(layer), ...withDefault };
  const limits = {
    ...(minimum !== undefined && Number.isSafeInteger(minimum - 1) && { minimum }),
    ...(maximum !== undefined && Number.isSafeInteger(maximum + 1) && { maximum }),
  };
  const { minimum: _least, maximum: _most, ...rest } = node as Node;
  const scalar = { ...rest, ...limits };
  const takesAnyText =
    type === 'string' && Object.keys(scalar).every((key) => key === 'type' || key === 'minLength');
  if (Object.keys(scalar).length === 0) return scalar;
  return takesAnyText
    ? { ...scalar, ...withDefault }
    : { anyOf: [scalar, { $ref: '#/definitions/placeholder' }], ...withDefault };
}
