import { textOr } from '#sdk/dialect';
import { z } from '#zod';

const mostBlocks = 1024;
// `cache_control` and other fields of a block are accepted, and mean nothing here.
const base64 = z.string().regex(/^[\w+/=-]+$/, 'expected base64');

const text = z.looseObject({ type: z.literal('text'), text: z.string() });
const redacted = z.looseObject({ type: z.literal('redacted_thinking') });
const thinking = z.looseObject({
  type: z.literal('thinking'),
  thinking: z.string().nullish(),
  signature: z.unknown().optional().describe('Accepted, and not checked'),
});

const image = z.looseObject({
  type: z.literal('image'),
  source: z.discriminatedUnion('type', [
    z.looseObject({
      type: z.literal('base64'),
      media_type: z.string().regex(/^image\/[\w.+-]+$/, 'expected the type of an image, as image/png'),
      data: base64,
    }),
    z.looseObject({
      type: z.literal('url'),
      url: z
        .string()
        .regex(/^(https?:\/\/\S+|data:image\/[\w.+-]+;base64,[\w+/=]+)$/, 'expected an http(s) URL'),
    }),
  ]),
});

const searchResult = z.looseObject({
  type: z.literal('search_result'),
  title: z.string().nullish(),
  source: z.string().nullish(),
  content: textOr(text, mostBlocks).nullish(),
});

const document = z.looseObject({
  type: z.literal('document'),
  title: z.string().nullish(),
  context: z.string().nullish(),
  source: z.discriminatedUnion(
    'type',
    [
      z.looseObject({ type: z.literal('base64'), media_type: z.string().min(1), data: base64 }),
      z.looseObject({ type: z.literal('text'), data: z.string() }),
      z.looseObject({
        type: z.literal('content'),
        content: textOr(z.discriminatedUnion('type', [text, image]), mostBlocks),
      }),
    ],
    'no document is fetched here; send its data in base64, or its text',
  ),
});

/** Names a tool that the client has found; all tools of a request are passed on anyway. */
const toolReference = z.looseObject({ type: z.literal('tool_reference'), tool_name: z.string() });

const toolUse = z.looseObject({
  type: z.literal('tool_use'),
  id: z.string().min(1),
  name: z.string().min(1),
  input: z.record(z.string(), z.unknown()),
});

const toolResult = z.looseObject({
  type: z.literal('tool_result'),
  tool_use_id: z.string().min(1),
  content: textOr(
    z.discriminatedUnion('type', [text, image, document, searchResult, toolReference]),
    mostBlocks,
  ).nullish(),
  is_error: z.boolean().nullish(),
});

const midSystem = z.looseObject({ type: z.literal('mid_conv_system'), content: textOr(text, mostBlocks) });

/** Blocks of Anthropic's own servers: what they ran, and what they keep. */
const foreignKinds = [
  ...(['server_tool_use', 'web_search_tool_result', 'web_fetch_tool_result'] as const),
  ...(['code_execution_tool_result', 'bash_code_execution_tool_result'] as const),
  ...(['text_editor_code_execution_tool_result', 'tool_search_tool_result'] as const),
  ...(['mcp_tool_use', 'mcp_tool_result', 'advisor_tool_result', 'container_upload'] as const),
  ...(['compaction', 'fallback', 'tool_addition', 'tool_removal'] as const),
] as const;
const foreign = z
  .looseObject({ type: z.enum(foreignKinds) })
  .describe('Left out, with a note in `x-waggle-warning`');

const block = z.discriminatedUnion('type', [
  ...([text, image, document, searchResult, toolUse, toolResult] as const),
  ...([thinking, redacted, midSystem, foreign] as const),
]);

/** The content of a message. */
export const content = textOr(block, mostBlocks);

/** The system prompt. */
export const system = textOr(text, mostBlocks);

export type Block = z.output<typeof block>;
export type ToolResult = z.output<typeof toolResult>;
/** A block of a result. */
export type ResultBlock = Exclude<NonNullable<ToolResult['content']>, string>[number];

/** Whether a block is left out. */
export function isForeign({ type }: Block): boolean {
  return (foreignKinds as readonly string[]).includes(type);
}
