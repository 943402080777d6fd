import { Ajv2020, type AnySchema, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Answer } from './transport.js';

// biome-ignore lint/suspicious/noExplicitAny: a document is plain JSON
type Json = any;

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, { schema: AnySchema }> }>>;
}

/** An OpenAPI document as a judge of answers. */
export class ApiDocument {
  readonly #paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly #validators = new Map<AnySchema, ValidateFunction>();

  constructor(document: Json) {
    this.#paths = document.paths;
  }

  /** Every documented answer as `GET /path 200`, without the unexpected ones. */
  get answers(): readonly string[] {
    return Object.entries(this.#paths).flatMap(([path, operations]) =>
      Object.entries(operations).flatMap(([method, { responses }]) =>
        Object.keys(responses)
          .filter((status) => status !== 'default')
          .map((status) => `${method.toUpperCase()} ${path} ${status}`),
      ),
    );
  }

  /** Which documented answer this is. @throws when it is none, or its body is not as documented */
  judge(method: string, path: string, answer: Pick<Answer, 'status' | 'headers' | 'text'>): string {
    const { status, headers, text } = answer;
    const template = this.#templateOf(path);
    const operation = template && this.#paths[template]?.[method === 'HEAD' ? 'get' : method.toLowerCase()];
    const name = `${method} ${template ?? path} ${status}`;
    if (!template || !operation) {
      const expected = [template ? (method === 'OPTIONS' ? 204 : 405) : 404];
      // A segment that cannot be decoded leads nowhere, whatever the method.
      if (template?.includes('{')) expected.push(404);
      // There every preflight is answered.
      if (method === 'OPTIONS' && path.startsWith('/v1/')) expected.push(204);
      if (!expected.includes(status)) throw new Error(`${name}: not documented`);
      return name;
    }
    const response = operation.responses[status];
    if (!response) throw new Error(`${name}: not documented: ${text.slice(0, 300)}`);
    if (method === 'HEAD' || status === 101 || status === 204 || status === 304) return name;
    const type = String(headers['content-type']).split(';')[0] as string;
    const described = response.content?.[type]?.schema as Json;
    for (const part of partsOf(type, text)) {
      const schema = type === 'text/event-stream' ? eventSchema(described, part) : described;
      if (schema === undefined) throw new Error(`${name}: no ${type} documented`);
      this.#check(name, schema, part);
    }
    return name;
  }

  #templateOf(path: string): string | undefined {
    const [bare] = path.split('?', 1);
    const templates = Object.keys(this.#paths).sort((a, b) => (a < b ? -1 : 1));
    const find = (spelled: string) =>
      templates.find((each) =>
        new RegExp(`^${each.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`).test(spelled),
      );
    // A slash too many leads to the same route.
    return find(bare as string) ?? find((bare as string).replace(/\/+/g, '/').replace(/(?<=.)\/$/, ''));
  }

  #check(name: string, schema: AnySchema, value: unknown): void {
    const validate = this.#validators.get(schema) ?? strictValidator(schema);
    this.#validators.set(schema, validate);
    if (!validate(value))
      throw new Error(`${name}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(value)}`);
  }
}

// One for all, because each new one compiles the schema of schemas again.
const ajv = new Ajv2020({ allErrors: true, strictTypes: true });

/** Compiles a schema that allows no field but those it names. */
export function strictValidator(schema: AnySchema): ValidateFunction {
  return ajv.compile(closed(schema));
}

/** What describes the data of an event: JSON, or a text as it stands. */
function eventSchema(described: Json, part: unknown): AnySchema | undefined {
  const { data } = described?.properties ?? {};
  const kinds: readonly Json[] = data?.anyOf ?? [data];
  if (typeof part !== 'string') return kinds.find((kind) => kind?.contentSchema)?.contentSchema;
  return kinds.find((kind) => kind?.const === part);
}

/** The bodies that one schema describes: a whole one, or each event or line. */
function partsOf(type: string, text: string): readonly unknown[] {
  const lines = text.trimEnd().split('\n');
  if (type === 'text/event-stream')
    return lines
      .filter((line) => line.startsWith('data: '))
      .map((line) => (line.startsWith('data: {') ? JSON.parse(line.slice(6)) : line.slice(6)));
  if (type === 'application/x-ndjson') return lines.filter(Boolean).map((line) => JSON.parse(line));
  return [type === 'application/json' ? JSON.parse(text) : text];
}

// Fields may be added to what the server says, so documents leave room for them; here nothing unknown may pass.
function closed(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, value]) => [key, closed(value)]);
  const all = Object.fromEntries(entries);
  return schema.type === 'object' && schema.properties ? { additionalProperties: false, ...all } : all;
}
