import { WaggleError } from '../../errors.js';
import { isJsonObject, jsonDepthLimit } from '../json.js';
import { depthOf, toolDepthLimit } from '../raw-json.js';

/** Places in a body that may be deeper than the rest. */
export interface SchemaPlaces {
  /** The path of the schema in each tool, as `function.parameters`, by the field of the list. */
  readonly tools: Readonly<Record<string, string>>;
  /** Paths of other schemas in the body, as `text.format.schema`. */
  readonly formats: readonly string[];
  /** Paths of the inputs of tool calls, as `messages.*.content.*.input`; `*` is each item of a list. */
  readonly inputs?: readonly string[];
}

/** Checks a value by its path, and gives the one that stands for it in the rest of the body. */
type Replace = (value: unknown, path: string, parent: unknown) => unknown;

/**
 * Schemas of tools and of the answer may be deeper than the rest of a request, as real ones are.
 * @throws TOO_DEEP, or INVALID_REQUEST with the tool whose schema is too deep
 */
export function checkDepths(body: unknown, { tools, formats, inputs = [] }: SchemaPlaces): void {
  const deep: readonly (readonly [path: string, what: (parent: unknown) => string])[] = [
    ...formats.map((path) => [path, () => 'the schema of the answer'] as const),
    ...Object.entries(tools).map(([field, path]) => [`${field}.*.${path}`, schemaOf] as const),
    ...inputs.map((path) => [path, () => 'the input of a tool'] as const),
  ];
  let rest = body;
  for (const [path, what] of deep)
    rest = replaced(rest, path.split('.'), [], (value, at, parent) => {
      if (depthOf(value, toolDepthLimit) <= toolDepthLimit) return null;
      const why = `${what(parent)} is nested deeper than ${toolDepthLimit} levels`;
      throw new WaggleError('INVALID_REQUEST', { issues: [`${at}: ${why}`] });
    });
  if (depthOf(rest, jsonDepthLimit) > jsonDepthLimit)
    throw new WaggleError('TOO_DEEP', { depthLimit: jsonDepthLimit });
}

function schemaOf(tool: unknown): string {
  const { name } = tool as { readonly name?: unknown };
  return typeof name === 'string'
    ? `the schema of the tool ${JSON.stringify(name.slice(0, 64))}`
    : 'its schema';
}

/** A copy with other values at a path, or the value itself where it has nothing there. */
function replaced(
  value: unknown,
  [key, ...inner]: readonly string[],
  at: readonly (string | number)[],
  replace: Replace,
): unknown {
  if (key === '*')
    return Array.isArray(value)
      ? value.map((each, place) => replaced(each, inner, [...at, place], replace))
      : value;
  if (key === undefined || !isJsonObject(value) || !(key in value)) return value;
  const path = [...at, key];
  const next =
    inner.length > 0
      ? replaced(value[key], inner, path, replace)
      : replace(value[key], path.join('.'), value);
  return { ...value, [key]: next };
}
