import { type HttpRequest, type ToolDefinition, WaggleError } from '#kernel';
import { expectValid, parseJson, rawParts } from '#sdk';
import { checkDepths, type DialectRequest, dialectRequest, readRunHeaders } from '#sdk/dialect';
import type { z } from '#zod';
import { type AnsweredBody, type ChatBody, chatBody, generateBody } from './body.js';
import { imagesOf, messagesOf, type RawArguments } from './messages.js';
import { optionsOf } from './options.js';

/** A request for an answer. */
export interface AnswerRequest extends DialectRequest {
  readonly streamed: boolean;
  /** Without a prompt, a model is loaded or unloaded. */
  readonly isEmpty: boolean;
  readonly unloads: boolean;
}

const schemaPlaces = { tools: { tools: 'function.parameters' }, formats: ['format'] };

/** @throws INVALID_REQUEST with the path of each wrong field */
export async function readChat(request: HttpRequest): Promise<AnswerRequest> {
  const { body, text } = await read(chatBody, request);
  const given = body.messages ?? [];
  const messages = messagesOf(given, rawArgumentsIn(given, text));
  const tools = (body.tools ?? []).map(definitionOf);
  const options = { ...optionsOf(body), ...(tools.length > 0 && { tools }) };
  return requestOf(body, request, { endpoint: 'POST /api/chat', messages, options });
}

/** @throws INVALID_REQUEST with the path of each wrong field, or for what no agent can do */
export async function readGenerate(request: HttpRequest): Promise<AnswerRequest> {
  const { body } = await read(generateBody, request);
  const { prompt, system, suffix, raw, template, context } = body;
  if (suffix) refuse(`"${modelIn(body)}" does not support insert`);
  if (raw)
    refuse('raw mode is not offered: agents take messages, and their model server applies the template');
  const images = imagesOf(body.images, 'images');
  const messages = [
    ...(system ? [{ role: 'system' as const, content: system }] : []),
    ...(prompt ? [{ role: 'user' as const, content: prompt, ...(images.length > 0 && { images }) }] : []),
  ];
  const leftOut = [
    ...(template ? ['"template"'] : []),
    ...(Array.isArray(context) && context.length > 0 ? ['"context"'] : []),
  ];
  const asked = { endpoint: 'POST /api/generate', messages, options: optionsOf(body), leftOut };
  return requestOf(body, request, asked, !prompt);
}

/** The body of a request that is no answer. @throws INVALID_REQUEST */
export async function readBody<T extends z.ZodType>(schema: T, request: HttpRequest): Promise<z.output<T>> {
  return (await read(schema, request)).body;
}

/** @throws INVALID_REQUEST where there is none */
export function modelIn({ model, name }: Pick<AnsweredBody, 'model' | 'name'>): string {
  return model || name || refuse('model is required');
}

async function read<T extends z.ZodType>(
  schema: T,
  request: HttpRequest,
): Promise<{ readonly body: z.output<T>; readonly text: string }> {
  const text = await request.text();
  if (text.trim() === '') refuse('missing request body');
  const input = parseJson(text, Number.POSITIVE_INFINITY);
  checkDepths(input, schemaPlaces);
  return { body: await expectValid(schema, input), text };
}

async function requestOf(
  body: AnsweredBody,
  request: HttpRequest,
  asked: Omit<Parameters<typeof dialectRequest>[0], 'model'>,
  isEmpty = asked.messages.length === 0,
): Promise<AnswerRequest> {
  const headers = await readRunHeaders(request);
  const { keep_alive: keepAlive } = body;
  return {
    ...dialectRequest({ ...asked, model: modelIn(body) }, headers, request.principal),
    streamed: body.stream ?? true,
    isEmpty,
    unloads: /^0+(\.0+)?([a-zµ]+)?$/.test(String(keepAlive ?? '')),
  };
}

type Tool = NonNullable<ChatBody['tools']>[number];

function definitionOf({ function: { name, description, parameters } }: Tool): ToolDefinition {
  return { name, description: description ?? undefined, parameters: parameters ?? undefined };
}

/** Parsing changes numbers, and agents pass arguments on digit for digit. */
function rawArgumentsIn(messages: NonNullable<ChatBody['messages']>, text: string): RawArguments {
  if (!messages.some(({ tool_calls: calls }) => calls?.length)) return () => undefined;
  const list = [...rawParts(rawParts(text).get('messages') ?? '').values()];
  const calls = new Map<number, readonly string[]>();
  for (const [place, message] of messages.entries())
    if (message.tool_calls?.length)
      calls.set(place, [...rawParts(rawParts(list[place] ?? '').get('tool_calls') ?? '').values()]);
  return (place, at) => {
    const called = rawParts(calls.get(place)?.[at] ?? '').get('function');
    return called && rawParts(called).get('arguments');
  };
}

function refuse(issue: string): never {
  throw new WaggleError('INVALID_REQUEST', { issues: [issue] });
}
