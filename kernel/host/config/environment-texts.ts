import type { Origin, Path } from '../../check.js';
import { childOf, isMap, type Node, waysOf } from '../../json-schema.js';
import { parseJson } from '../../sdk/json.js';
import { settingPrefix } from './variables.js';

type Meant = (text: string, node: Node | undefined, variable: string) => unknown;

/** Makes texts that came from the environment the numbers, booleans, lists and maps that the schema asks for. */
export function fromEnvironment(origin: Origin): Origin {
  return { ...origin, convert: (value, root) => coerce(value, root, [], origin, meant) };
}

/** The same, and leaves what another schema will describe. */
export function fromEnvironmentWhereKnown(origin: Origin): Origin {
  const known: Meant = (text, node, variable) => (isOpen(node) ? text : meant(text, node, variable));
  return { ...origin, convert: (value, root) => coerce(value, root, [], origin, known) };
}

function coerce(value: unknown, node: Node | undefined, path: Path, origin: Origin, as: Meant): unknown {
  if (Array.isArray(value))
    return value.map((item, index) => coerce(item, node?.items, [...path, index], origin, as));
  if (isMap(value))
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        coerce(item, node && childOf(node, key), [...path, key], origin, as),
      ]),
    );
  const name = typeof value === 'string' ? origin.variable(path) : undefined;
  return name === undefined ? value : as(value as string, node, name);
}

/** Whether any value fits. */
function isOpen(node: Node | undefined): boolean {
  return !(node && waysIn(node).some(({ type, enum: known, const: only }) => type ?? known ?? only));
}

function waysIn(node: Node): readonly Node[] {
  return waysOf(node) ?? [node];
}

function meant(text: string, node: Node | undefined, variable: string): unknown {
  // YAML would have said what it is.
  if (!node || isOpen(node)) return variable.startsWith(settingPrefix) ? (parsed(text) ?? text) : text;
  const wants = (type: string) => waysIn(node).some((each) => each.type === type);
  if (/^\s*[[{]/.test(text)) {
    const value = parsed(text);
    if (Array.isArray(value) ? wants('array') : isMap(value) && wants('object')) return value;
  }
  if (waysIn(node).some((each) => takesText(each, text))) return text;
  if ((wants('integer') || wants('number')) && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) return Number(text);
  if (wants('boolean') && /^(true|false)$/.test(text)) return text === 'true';
  return text;
}

/** Whether a text is meant as it is, and not as the number that a schema such as "a number, or `auto`" takes as well. */
function takesText({ type, enum: known, const: only }: Node, text: string): boolean {
  if (type !== 'string') return false;
  return known?.includes(text) ?? (only === undefined || only === text);
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
