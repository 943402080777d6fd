import { WaggleError } from '#kernel';
import { depthOf, isJsonObject, jsonDepthLimit, toolDepthLimit } from '#sdk';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Schemas of tools and response formats may be deeper than the rest of a request, as real ones are.
 * @throws TOO_DEEP, or INVALID_REQUEST with the tool whose schema is too deep
 */
export function checkDepths(body: unknown): void {
  const { tools, functions, response_format: format, ...rest } = isJsonObject(body) ? body : { body };
  check(rest);
  checkTools('tools', tools, 'function.parameters', (tool) => partOf(tool, 'function'));
  checkTools('functions', functions, 'parameters', (tool) => tool);
  const schema = partOf(partOf(format, 'json_schema'), 'schema') ?? partOf(format, 'schema');
  checkSchema(schema, 'response_format', 'the schema of the answer');
  if (schema === undefined) check(format);
}

function checkTools(
  field: string,
  tools: unknown,
  path: string,
  definitionOf: (tool: unknown) => unknown,
): void {
  if (!Array.isArray(tools)) check(tools);
  for (const [place, tool] of Array.isArray(tools) ? tools.entries() : []) {
    const definition = definitionOf(tool);
    const schema = partOf(definition, 'parameters');
    if (schema === undefined) check(tool);
    else check({ ...(definition as Fields), parameters: null });
    const name = partOf(definition, 'name');
    const whose =
      typeof name === 'string' ? `the schema of the tool ${JSON.stringify(name.slice(0, 64))}` : 'its schema';
    checkSchema(schema, `${field}.${place}.${path}`, whose);
  }
}

function checkSchema(schema: unknown, path: string, whose: string): void {
  if (depthOf(schema, toolDepthLimit) <= toolDepthLimit) return;
  const what = `${whose} is nested deeper than ${toolDepthLimit} levels`;
  throw new WaggleError('INVALID_REQUEST', { issues: [`${path}: ${what}`] });
}

function check(value: unknown): void {
  if (depthOf(value, jsonDepthLimit) > jsonDepthLimit)
    throw new WaggleError('TOO_DEEP', { depthLimit: jsonDepthLimit });
}

function partOf(value: unknown, key: string): unknown {
  return isJsonObject(value) ? value[key] : undefined;
}
