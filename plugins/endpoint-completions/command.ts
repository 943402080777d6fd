import type { Agent, ChatOptions, HttpRequest, Principal } from '#kernel';
import { expectValid } from '#sdk';
import {
  type Asked,
  checkContent,
  checkDepths,
  checkLogprobs,
  type DialectRequest,
  dialectRequest,
  type RunHeaders,
  readRunHeaders,
  userIn,
} from '#sdk/dialect';
import { type ChatBody, type CommonBody, chatBody, type TextBody, textBody } from './body.js';
import { messagesOf } from './messages.js';
import { checkShape, checkTextShape } from './shape.js';
import { toolsOf } from './tools.js';

export interface CompletionRequest extends DialectRequest {
  readonly streamed: boolean;
  readonly includeUsage: boolean;
}

/** Finds the agent of a model; it decides which content is accepted. @throws AGENT_UNKNOWN */
type AgentOf = (model: string) => Agent | undefined;

const chatFields = new Set(Object.keys(chatBody.shape));
const textFields = new Set(Object.keys(textBody.shape));
const schemaPlaces = {
  tools: { tools: 'function.parameters', functions: 'parameters' },
  formats: ['response_format.json_schema.schema', 'response_format.schema'],
};

/** @throws INVALID_REQUEST with the path of each wrong field */
export async function readChat(request: HttpRequest, agentOf: AgentOf): Promise<CompletionRequest> {
  const input = await request.json(Number.POSITIVE_INFINITY);
  checkDepths(input, schemaPlaces);
  checkShape(input);
  const body: ChatBody = await expectValid(chatBody, input);
  const headers = await readRunHeaders(request);
  checkContent('messages', body.messages, agentOf(body.model));
  const { leftOut, ...tools } = toolsOf(body);
  const options = { ...optionsOf(body), ...chatOptionsOf(body), ...tools, more: moreOf(body, chatFields) };
  checkLogprobs('logprobs', options, agentOf(body.model));
  const asked = {
    endpoint: 'POST /v1/chat/completions',
    messages: messagesOf(body.messages),
    options,
    leftOut,
  };
  return requestOf(body, headers, asked, request.principal);
}

/** @throws INVALID_REQUEST with the path of each wrong field */
export async function readText(request: HttpRequest): Promise<CompletionRequest> {
  const input = await request.json();
  checkTextShape(input);
  const body: TextBody = await expectValid(textBody, input);
  const { prompt } = body;
  const content = typeof prompt === 'string' ? prompt : (prompt[0] as string);
  const options = { ...optionsOf(body), more: moreOf(body, textFields) };
  const asked = { endpoint: 'POST /v1/completions', messages: [{ role: 'user' as const, content }], options };
  return requestOf(body, await readRunHeaders(request), asked, request.principal);
}

function requestOf(
  body: CommonBody,
  headers: RunHeaders,
  asked: Pick<Asked, 'endpoint' | 'messages' | 'options' | 'leftOut'>,
  principal: Principal | undefined,
): CompletionRequest {
  const { model, metadata } = body;
  const leftOut = [...(asked.leftOut ?? []), ...roundedIn(body)];
  const user = userIn(...nameOf(body.user));
  return {
    ...dialectRequest({ ...asked, model, metadata, user, leftOut }, headers, principal),
    streamed: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
  };
}

function nameOf(user: CommonBody['user']): readonly [string, unknown] {
  if (typeof user !== 'object' || !user) return ['user', user];
  const field = ['id', 'email', 'name'].find((each) => user[each] != null);
  return field ? [`user.${field}`, user[field]] : ['user', undefined];
}

function optionsOf(body: CommonBody): ChatOptions {
  const { stop } = body;
  const stops = (typeof stop === 'string' ? [stop] : (stop ?? [])).filter((each) => each !== '');
  return {
    temperature: body.temperature ?? undefined,
    topP: body.top_p ?? undefined,
    seed: typeof body.seed === 'number' ? seedOf(body.seed) : undefined,
    maxTokens: body.max_tokens ?? undefined,
    presencePenalty: body.presence_penalty ?? undefined,
    frequencyPenalty: body.frequency_penalty ?? undefined,
    stop: stops.length > 0 ? stops : undefined,
  };
}

/** A 64-bit seed as a signed number. Clients send unsigned ones as well; model servers accept only signed ones. */
function seedOf(seed: number): number {
  const signed = Math.abs(seed) < 2 ** 63 ? seed : Number(BigInt.asIntN(64, BigInt(seed)));
  // As a decimal number, the least value would exceed 64 bits.
  return Math.max(signed, 1024 - 2 ** 63);
}

/** Values that `JSON.parse` has rounded. */
function roundedIn({ seed }: CommonBody): readonly string[] {
  return typeof seed !== 'number' || Number.isSafeInteger(seed) ? [] : ['the last digits of "seed"'];
}

function chatOptionsOf(body: ChatBody): ChatOptions {
  const { response_format: format } = body;
  const { name, description, strict } = (format?.type === 'json_schema' && format.json_schema) || {};
  const details = {
    ...(name && { name }),
    ...(description && { description }),
    ...(strict != null && { strict }),
  };
  return {
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    reasoningEffort: body.reasoning_effort ?? body.reasoning?.effort ?? undefined,
    format: formatOf(format),
    formatDetails: Object.keys(details).length > 0 ? details : undefined,
    parallelToolCalls: body.parallel_tool_calls ?? undefined,
    truncate: body.truncation === 'disabled' ? false : undefined,
  };
}

function formatOf(format: ChatBody['response_format']): ChatOptions['format'] {
  if (format?.type === 'json_schema') return format.json_schema.schema ?? 'json';
  return format?.type === 'json_object' ? (format.schema ?? 'json') : undefined;
}

/** Fields without an option of ours, for the model server. */
function moreOf(body: CommonBody, known: ReadonlySet<string>): ChatOptions['more'] {
  const { user, metadata, reasoning, logprobs, top_logprobs } = body as ChatBody;
  const isMore = reasoning && Object.keys(reasoning).some((key) => key !== 'effort');
  const rest = Object.entries(body).filter(([key]) => !known.has(key));
  const passed = {
    user: user && typeof user === 'string' ? user : undefined,
    metadata,
    ...(logprobs && { logprobs, top_logprobs }),
  };
  const more = [...rest, ...Object.entries({ ...passed, reasoning: isMore ? reasoning : undefined })];
  const given = more.filter(([, value]) => value !== undefined && value !== null);
  return given.length > 0 ? Object.fromEntries(given) : undefined;
}
