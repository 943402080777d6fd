import { createHash } from 'node:crypto';
import type { Agent, ChatMessage, ChatOptions, HttpRequest, Principal } from '#kernel';
import { expectValid, mayActFor } from '#sdk';
import {
  checkDepths,
  checkParts,
  type DialectRequest,
  dialectRequest,
  readRunHeaders,
  type SpecialPart,
} from '#sdk/dialect';
import { type CountBody, countBody, type MessageBody, messageBody } from './body.js';
import { specialIn } from './content.js';
import { blocksOf, leftOutOf, messagesOf } from './messages.js';
import { checkPlacement } from './placement.js';
import { checkShape } from './shape.js';
import { type Display, displayOf, effortOf } from './thinking.js';
import { toolsOf } from './tools.js';

export interface MessageRequest extends DialectRequest {
  readonly streamed: boolean;
  readonly display: Display;
}

/** The part of a request that is counted. */
export interface CountRequest {
  readonly messages: readonly ChatMessage[];
  readonly options: ChatOptions;
}

/** Finds the agent of a model; it decides which content is accepted. @throws AGENT_UNKNOWN */
type AgentOf = (model: string) => Agent | undefined;

const knownFields = new Set(Object.keys(messageBody.shape));
const deepPlaces = {
  tools: { tools: 'input_schema' },
  formats: ['output_config.format.schema', 'output_format.schema'],
  inputs: ['messages.*.content.*.input'],
};
/** Length of the longest user id; those of Claude Code are longer. */
const userIdChars = 128;

/** @throws INVALID_REQUEST with the path of each wrong field */
export async function readMessages(request: HttpRequest, agentOf: AgentOf): Promise<MessageRequest> {
  const body: MessageBody = await bodyOf(request, messageBody, agentOf);
  const headers = await readRunHeaders(request);
  const { leftOut, ...asked } = askedIn(body);
  const { model, metadata } = body;
  const command = {
    endpoint: 'POST /v1/messages',
    model,
    messages: asked.messages,
    options: { ...asked.options, ...optionsOf(body) },
    leftOut: [...leftOut, ...unknownIn(body)],
    user: userOf(metadata?.user_id, request.principal),
    metadata,
  };
  return {
    ...dialectRequest(command, headers, request.principal),
    streamed: body.stream ?? false,
    display: displayOf(body),
  };
}

/** @throws INVALID_REQUEST with the path of each wrong field */
export async function readCount(request: HttpRequest, agentOf: AgentOf): Promise<CountRequest> {
  return askedIn(await bodyOf(request, countBody, agentOf));
}

async function bodyOf<T extends CountBody>(
  request: HttpRequest,
  schema: Parameters<typeof expectValid<T>>[0],
  agentOf: AgentOf,
): Promise<T> {
  const input = await request.json(Number.POSITIVE_INFINITY);
  checkDepths(input, deepPlaces);
  checkShape(input);
  const body = await expectValid(schema, input);
  checkPlacement(body.messages);
  checkParts(body.messages.flatMap(specialOf), agentOf(body.model));
  return body;
}

/** Also those in results of tools. */
function specialOf({ content }: CountBody['messages'][number], at: number): readonly SpecialPart[] {
  const place = `messages.${at}.content`;
  const blocks = blocksOf(content);
  return [
    ...specialIn(blocks, place),
    ...blocks.flatMap((block, index) =>
      block.type === 'tool_result' && Array.isArray(block.content)
        ? specialIn(block.content, `${place}.${index}.content`)
        : [],
    ),
  ];
}

function askedIn(body: CountBody): CountRequest & { readonly leftOut: readonly string[] } {
  const { leftOut, ...tools } = toolsOf(body);
  const { schema } = body.output_config?.format ?? body.output_format ?? {};
  return {
    messages: messagesOf(body),
    options: { ...tools, format: schema, reasoningEffort: effortOf(body) },
    leftOut: [...leftOut, ...leftOutOf(body)],
  };
}

function optionsOf(body: MessageBody): ChatOptions {
  const stops = (body.stop_sequences ?? []).filter((each) => each !== '');
  return {
    maxTokens: body.max_tokens,
    // As the API does: its clients make room by themselves.
    truncate: false,
    temperature: body.temperature ?? undefined,
    topP: body.top_p ?? undefined,
    stop: stops.length > 0 ? stops : undefined,
    more: body.top_k == null ? undefined : { top_k: body.top_k },
  };
}

/** Fields of Anthropic's servers, and those of newer clients: model servers of other vendors refuse them. */
function unknownIn(body: MessageBody): readonly string[] {
  return Object.entries(body).flatMap(([name, value]) =>
    knownFields.has(name) || value == null ? [] : JSON.stringify(name.slice(0, 60)),
  );
}

/** Clients send ids of their own making: one that is not that of the credentials is no claim to be another user. */
function userOf(id: string | null | undefined, principal: Principal | undefined): string | undefined {
  if (!id || !mayActFor(principal, id)) return undefined;
  return id.length <= userIdChars ? id : createHash('sha256').update(id).digest('base64url');
}
