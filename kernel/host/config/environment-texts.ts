import type { Origin, Path } from '../../check.js';
import { childOf, isMap, type Node, waysOf } from '../../json-schema.js';

/** Makes texts that came from the environment the numbers and booleans that the schema asks for. */
export function fromEnvironment(origin: Origin): Origin {
  return { ...origin, convert: (value, root) => coerce(value, root, [], origin.variable) };
}

function coerce(value: unknown, node: Node | undefined, path: Path, variable: Origin['variable']): unknown {
  if (Array.isArray(value))
    return value.map((item, index) => coerce(item, node?.items, [...path, index], variable));
  if (isMap(value))
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        coerce(item, node && childOf(node, key), [...path, key], variable),
      ]),
    );
  if (typeof value !== 'string' || !node || !variable(path)) return value;
  const wants = (type: string) => (waysOf(node) ?? [node]).some((each) => each.type === type);
  if (wants('string')) return value;
  if ((wants('integer') || wants('number')) && /^-?\d+(\.\d+)?$/.test(value)) return Number(value);
  if (wants('boolean') && /^(true|false)$/.test(value)) return value === 'true';
  return value;
}
