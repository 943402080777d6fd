import { jsonSchemaOf } from '../../json-schema.js';
import type { Configurable } from './editor-schema.js';

interface Node {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Node[];
  readonly items?: Node;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
}

/** Markdown table of all keys of a config, with their defaults. */
export function keyTable({ config, docs }: Configurable): string {
  const { properties = {} } = config ? (jsonSchemaOf(config) as Node) : {};
  const rows = Object.entries(properties).map(([key, node]) => {
    const usual = node.default === undefined ? '' : code(node.default);
    return `| \`${key}\` | ${valuesOf(node)} | ${usual} | ${cell(docs.get(key) ?? '')} |`;
  });
  return ['| key | values | default | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

/** The accepted values of a schema, in words. */
function valuesOf(node: Node): string {
  const { type, anyOf, items, minimum, maximum } = node;
  if (node.const !== undefined) return code(node.const);
  if (node.enum) return node.enum.map(code).join(', ');
  if (anyOf) return [...new Set(anyOf.map(valuesOf))].join(' or ');
  if (type === 'array') return `list of ${valuesOf(items ?? {})}`;
  if (type === 'object') return 'map';
  if (type === 'integer' || type === 'number') return [type, rangeOf(minimum, maximum)].join(' ').trim();
  return type ?? 'any';
}

/** Limits in words, without the implicit ones of exact integers and timers. */
function rangeOf(minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY): string {
  const least = Number.isSafeInteger(minimum - 1) ? minimum : undefined;
  const most = Number.isSafeInteger(maximum + 1) && maximum !== 2 ** 31 - 1 ? maximum : undefined;
  if (least !== undefined && most !== undefined) return `${least} to ${most}`;
  if (least !== undefined) return `≥ ${least}`;
  return most === undefined ? '' : `≤ ${most}`;
}

function code(value: unknown): string {
  return `\`${cell(typeof value === 'string' && value ? value : JSON.stringify(value))}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
