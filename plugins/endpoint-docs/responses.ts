import { STATUS_CODES } from 'node:http';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { type ClientErrorCode, httpStatus, type ResponseDocs } from '#kernel';
import { embedded, type JsonSchema } from './json-schema.js';

const json = 'application/json';

/** Responses of an operation by status: those of its docs, and its errors with the codes of each status. */
export function responsesOf(
  documented: Readonly<Record<number, ResponseDocs>>,
  errors: readonly ClientErrorCode[],
  error?: StandardSchemaV1,
): Record<string, object> {
  const statuses = new Set([
    ...Object.keys(documented).map(Number),
    ...errors.map((code) => httpStatus[code]),
  ]);
  const responses = [...statuses].map((status) => {
    const codes = new Set(errors.filter((code) => httpStatus[code] === status));
    return [status, responseOf(status, documented[status], [...codes].sort(), error)];
  });
  return Object.fromEntries(responses);
}

function responseOf(
  status: number,
  answer: ResponseDocs | undefined,
  errors: readonly ClientErrorCode[],
  error?: StandardSchemaV1,
): object {
  const schemas = new Map<string, JsonSchema>();
  for (const [type, schema] of Object.entries(answer?.content ?? {})) schemas.set(type, partOf(type, schema));
  if (errors.length > 0) {
    const own = schemas.get(json);
    const theirs = error ? embedded(error) : errorSchema(errors);
    schemas.set(json, own ? { anyOf: [own, theirs] } : theirs);
  }
  return {
    description: answer?.description ?? STATUS_CODES[status] ?? 'Error',
    content: Object.fromEntries([...schemas].map(([type, schema]) => [type, { schema }])),
  };
}

function errorSchema(codes: readonly ClientErrorCode[]): JsonSchema {
  const text = { type: 'string' };
  const error = {
    type: 'object',
    properties: { code: { ...text, enum: codes }, message: text, requestId: text },
    required: ['code', 'message', 'requestId'],
  };
  return { type: 'object', properties: { error }, required: ['error'] };
}

/** An event stream is described by one event, whose data has the schema of the route: JSON, or a constant text as it stands. */
function partOf(type: string, schema: StandardSchemaV1): JsonSchema {
  if (type !== 'text/event-stream') return embedded(schema);
  const text = { type: 'string' };
  const whole = embedded(schema);
  const kinds = (whole.anyOf ?? [whole]) as readonly JsonSchema[];
  const texts = kinds.filter((kind) => typeof kind.const === 'string');
  const contentSchema = texts.length === 0 ? whole : { anyOf: kinds.filter((kind) => !texts.includes(kind)) };
  const content = { ...text, contentMediaType: json, contentSchema };
  const data = texts.length === 0 ? content : { anyOf: [content, ...texts] };
  return { type: 'object', properties: { id: text, event: text, data }, required: ['data'] };
}
