import { jsonSchemaOf } from '#sdk';
import { part, textOr } from '#sdk/dialect';
import { z } from '#zod';

// Every list is bounded, and its length is checked before its items: reporting errors costs more than valid input.
const limits = { items: 4096, parts: 1024 } as const;

const content = textOr(part, limits.parts);
const id = z.string().max(256).nullish();
const texts = z.array(z.looseObject({ text: z.string() })).max(limits.parts);

const message = z.looseObject({
  type: z.literal('message').nullish(),
  id,
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content,
  phase: z.string().nullish().describe('`commentary` or `final_answer`; taken, and not passed on'),
});
const call = z.looseObject({
  type: z.enum(['function_call', 'custom_tool_call']),
  id,
  call_id: z.string().min(1),
  name: z.string().min(1),
  arguments: z.string().optional().describe('The arguments as the model wrote them, valid JSON or not'),
  input: z.string().optional().describe('The input of a custom tool'),
});
const result = z.looseObject({
  type: z.enum(['function_call_output', 'custom_tool_call_output']),
  id,
  call_id: z.string().min(1),
  output: content,
});
const reasoning = z.looseObject({
  type: z.literal('reasoning'),
  id,
  summary: texts.nullish(),
  content: texts.nullish(),
});
const reference = z.looseObject({
  type: z.literal('item_reference').nullish(),
  id: z.string().min(1).max(256),
});
const compaction = z.looseObject({
  type: z.enum(['compaction', 'compaction_summary']),
  id,
  encrypted_content: z.string(),
});
const other = z
  .looseObject({ type: z.string().min(1) })
  .describe('An item of a hosted tool that is not offered here; it is left out, with a note');

/** Input items, in the order in which their schemas are tried. */
const kinds = { message, call, result, reasoning, reference, compaction, other } as const;

type Kind = keyof typeof kinds;
type ItemOf<K extends Kind> = z.output<(typeof kinds)[K]>;

/** An item that was read, with its kind. */
export type Item = { [K in Kind]: { readonly kind: K; readonly item: ItemOf<K> } }[Kind];

const types: Readonly<Record<string, Kind>> = {
  message: 'message',
  function_call: 'call',
  custom_tool_call: 'call',
  function_call_output: 'result',
  custom_tool_call_output: 'result',
  reasoning: 'reasoning',
  item_reference: 'reference',
  compaction: 'compaction',
  compaction_summary: 'compaction',
};

/** The kind of an item; a message and a reference may leave their type out. */
export function kindOf(item: { readonly type?: unknown; readonly role?: unknown }): Kind {
  if (typeof item.type === 'string')
    return Object.hasOwn(types, item.type) ? (types[item.type] as Kind) : 'other';
  return item.role === undefined ? 'reference' : 'message';
}

const { $schema: _, ...described } = jsonSchemaOf(z.union(Object.values(kinds))) ?? {};

/** One input item, checked by the schema of its type alone, so that errors are about that type. */
const item = z
  .record(z.string(), z.unknown())
  .meta(described)
  .transform((value, context): Item => {
    const kind = kindOf(value);
    const read = kinds[kind].safeParse(value);
    if (read.success) return { kind, item: read.data } as Item;
    for (const issue of read.error.issues) context.issues.push({ ...issue, input: value } as never);
    return z.NEVER;
  });

/** The input of a response: a text, or items. */
export const input = textOr(item, limits.items);
