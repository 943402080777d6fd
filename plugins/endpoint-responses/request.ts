import { type Agent, type ChatOptions, type Principal, WaggleError } from '#kernel';
import { expectValid } from '#sdk';
import {
  type Asked,
  checkContent,
  checkDepths,
  checkLogprobs,
  type DialectRequest,
  dialectRequest,
  type RunHeaders,
  userIn,
} from '#sdk/dialect';
import { type ResponseBody, responseBody } from './body.js';
import type { Item } from './items.js';
import { contentsOf, leftOutOf, messagesOf } from './messages.js';
import { conversationIdOf } from './response-object.js';
import { toolsOf } from './tools.js';

const schemaPlaces = { tools: { tools: 'parameters' }, formats: ['text.format.schema'] };
const known = new Set(Object.keys(responseBody.shape));

/** Names of fields that mean nothing here, and change nothing. */
const idle = new Set(['client_metadata', 'type', 'generate', 'moderation']);

/** Checks a body. @throws TOO_DEEP, INVALID_REQUEST with the path of each wrong field */
export async function readBody(input: unknown): Promise<ResponseBody> {
  checkDepths(input, schemaPlaces);
  const body: ResponseBody = await expectValid(responseBody, input);
  if (body.messages != null && body.input == null)
    refuse('messages', 'this is the Responses API of OpenAI, not its Chat Completions API: send `input`');
  if (body.prompt != null) refuse('prompt', 'no prompts are stored here; send `input`');
  if (body.background && body.store === false) refuse('background', 'a response in the background is stored');
  if (body.conversation != null && body.previous_response_id != null)
    refuse('previous_response_id', 'send this or `conversation`, not both');
  return body;
}

/** The items of an input. */
export function itemsOf({ input }: Pick<ResponseBody, 'input'>): readonly Item[] {
  if (typeof input !== 'string') return input ?? [];
  return [{ kind: 'message', item: { role: 'user', content: input } }];
}

/** The client of a request, and its headers. */
export interface Asker {
  readonly headers: RunHeaders;
  readonly principal: Principal | undefined;
  readonly connection?: string;
}

/** A request for a response, as agents get it, and the names of tools whose input is text. */
export interface ResponseRequest extends DialectRequest {
  readonly custom: ReadonlySet<string>;
}

/** @throws INVALID_REQUEST, FORBIDDEN */
export function requestOf(
  body: ResponseBody,
  items: readonly Item[],
  agent: Agent | undefined,
  { headers, principal, connection }: Asker,
): ResponseRequest {
  checkContent('input', contentsOf(items), agent);
  const { custom, leftOut, ...tools } = toolsOf(body);
  const options = { ...optionsOf(body), ...tools };
  checkLogprobs('include', options, agent);
  const messages = messagesOf(items);
  if (messages.length === 0) refuse('input', 'expected a text, or at least one message');
  const { instructions, conversation } = body;
  const user = userIn('user', body.user);
  // Its client sends the new items only: without the rest the answer would be wrong, and nobody told.
  if (conversation && !user && !principal)
    refuse('conversation', 'a conversation belongs to a `user`; name one, or use `previous_response_id`');
  const asked: Asked = {
    endpoint: '/v1/responses',
    model: body.model,
    messages: instructions ? [{ role: 'system', content: instructions }, ...messages] : messages,
    options,
    leftOut: [...leftOut, ...leftOutOf(items), ...unknownIn(body)],
    user,
    metadata: body.metadata,
  };
  const remembered = conversation
    ? { ...headers, 'X-Conversation-Id': conversationIdOf(conversation) }
    : headers;
  const request = dialectRequest(asked, remembered, principal);
  const { command } = request;
  return { ...request, command: { ...command, ...(connection && { connection }) }, custom };
}

function optionsOf(body: ResponseBody): ChatOptions {
  const { text, reasoning } = body;
  const format = text?.format;
  const { name, description, strict } = format?.type === 'json_schema' ? format : {};
  const details = {
    ...(name && { name }),
    ...(description && { description }),
    ...(strict != null && { strict }),
  };
  return {
    temperature: body.temperature ?? undefined,
    topP: body.top_p ?? undefined,
    maxTokens: body.max_output_tokens ?? undefined,
    presencePenalty: body.presence_penalty ?? undefined,
    frequencyPenalty: body.frequency_penalty ?? undefined,
    reasoningEffort: reasoning?.effort ?? undefined,
    format: formatOf(format),
    formatDetails: Object.keys(details).length > 0 ? details : undefined,
    parallelToolCalls: body.parallel_tool_calls ?? undefined,
    // As the API says: without the word nothing is left out.
    truncate: body.truncation === 'auto' ? undefined : false,
    more: moreOf(body),
  };
}

function formatOf(format: NonNullable<ResponseBody['text']>['format']): ChatOptions['format'] {
  if (format?.type === 'json_schema') return format.schema ?? 'json';
  return format?.type === 'json_object' ? 'json' : undefined;
}

/** Fields that the Chat Completions API has as well, for the model server. */
function moreOf({ text, user, metadata, include, ...body }: ResponseBody): ChatOptions['more'] {
  const logprobs = include?.includes('message.output_text.logprobs') || undefined;
  const { service_tier, prompt_cache_key, safety_identifier } = body;
  const passed = {
    user,
    metadata,
    verbosity: text?.verbosity,
    service_tier,
    prompt_cache_key,
    safety_identifier,
    logprobs,
    top_logprobs: logprobs && body.top_logprobs,
  };
  const given = Object.entries(passed).filter(([, value]) => value !== undefined && value !== null);
  return given.length > 0 ? Object.fromEntries(given) : undefined;
}

function unknownIn(body: ResponseBody): readonly string[] {
  return Object.keys(body).filter((key) => !known.has(key) && !idle.has(key) && body[key] != null);
}

function refuse(field: string, what: string): never {
  throw new WaggleError('INVALID_REQUEST', { issues: [`${field}: ${what}`] });
}
