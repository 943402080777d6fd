import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Packages } from './packages.js';

/** Arguments of a tool. */
export type ToolArguments = Readonly<Record<string, unknown>>;

type JsonSchema = Readonly<Record<string, unknown>>;

const issueLimitChars = 500;

/** A server's JSON Schema as a Standard Schema, which checks arguments and describes itself. @throws for an invalid one */
export function toolInput(
  schema: JsonSchema,
  validator: Validator,
): StandardSchemaV1<unknown, ToolArguments> {
  // By their `$id` the schemas of two tools would be taken for one.
  const { $id: _, ...own } = schema;
  const check = validator.getValidator(own);
  const props = {
    version: 1,
    vendor: 'waggle-mcp',
    validate: (value: unknown = {}) => {
      const { valid, errorMessage = '' } = check(value);
      if (valid) return { value: value as ToolArguments };
      const message = errorMessage.replace(/(^|, )data[/ ]/g, '$1').slice(0, issueLimitChars);
      return { issues: [{ message }] };
    },
    jsonSchema: { input: () => schema, output: () => schema },
  } as const;
  return { '~standard': props } as StandardSchemaV1<unknown, ToolArguments>;
}

type Validator = InstanceType<Packages['ajv']['AjvJsonSchemaValidator']>;
