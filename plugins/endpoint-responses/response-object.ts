import type { Usage } from '#kernel';
import type { ResponseBody, Tool } from './body.js';
import type { RecentEvents } from './recent-events.js';

/** The part of a response that is known before its answer; the same for all who read it. */
export interface ResponseHead {
  readonly id: string;
  /** Unix seconds. */
  readonly createdAt: number;
  /** Set when the end is read for the first time, so that every reader gets the same. */
  completedAt?: number;
  readonly body: ResponseBody;
  /** The number of readers so far, and what they share once there are several. */
  readers: number;
  recent?: RecentEvents;
  /** It only prepares the model: its content is left out. */
  readonly isWarmUp: boolean;
  /** Names of tools whose input is text. */
  readonly custom: ReadonlySet<string>;
  modelOf(agent: string): string;
}

/** The state of a response. */
export interface ResponseState {
  readonly status: 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled';
  /** Name of the model that answers. */
  readonly model: string;
  readonly output: readonly object[];
  readonly usage?: Usage | undefined;
  readonly error?: { readonly code: string; readonly message: string } | undefined;
  readonly incomplete?: 'max_output_tokens' | 'content_filter' | undefined;
}

/** The response object, as clients get it: with all fields of OpenAI's and of Open Responses. */
export function responseObject(head: ResponseHead, state: ResponseState): Readonly<Record<string, unknown>> {
  const { id, createdAt, completedAt, body } = head;
  const { status, model, output, usage, error, incomplete } = state;
  const { conversation } = body;
  return {
    id,
    object: 'response',
    created_at: createdAt,
    status,
    background: body.background ?? false,
    completed_at: status === 'completed' ? (completedAt ?? createdAt) : null,
    error: error ?? null,
    incomplete_details: incomplete ? { reason: incomplete } : null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    model,
    output,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    presence_penalty: body.presence_penalty ?? 0,
    frequency_penalty: body.frequency_penalty ?? 0,
    reasoning: {
      effort: body.reasoning?.effort ?? null,
      summary: summaryOf(body) ?? null,
    },
    safety_identifier: body.safety_identifier ?? null,
    service_tier: serviceTierOf(body),
    store: body.store ?? true,
    temperature: body.temperature ?? 1,
    text: { ...body.text, format: body.text?.format ?? { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: (body.tools ?? []).map(toolObject),
    top_logprobs: body.top_logprobs ?? 0,
    top_p: body.top_p ?? 1,
    truncation: body.truncation ?? 'disabled',
    usage: usage ? usageObject(usage) : null,
    user: body.user ?? null,
    metadata: body.metadata ?? {},
    ...(conversation && { conversation: { id: conversationIdOf(conversation) } }),
  };
}

/** The id of a conversation that a request names. */
export function conversationIdOf(conversation: NonNullable<ResponseBody['conversation']>): string {
  return typeof conversation === 'string' ? conversation : conversation.id;
}

/** The requested kind of summary; without one the reasoning itself is sent. */
export function summaryOf({ reasoning }: ResponseBody): string | undefined {
  const summary = reasoning?.summary ?? reasoning?.generate_summary ?? undefined;
  return summary === 'none' ? undefined : summary;
}

/** One tier is served, whatever was asked for. */
function serviceTierOf({ service_tier: tier }: ResponseBody): string {
  return !tier || tier === 'auto' ? 'default' : tier;
}

function toolObject(tool: Tool): object {
  if (tool.type !== 'function') return tool;
  const { type, name, description, parameters, strict, ...more } = tool;
  return {
    ...more,
    type,
    name,
    description: description ?? null,
    parameters: parameters ?? null,
    strict: strict ?? false,
  };
}

function usageObject({ inputTokens, outputTokens, cachedTokens, reasoningTokens }: Usage): object {
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: cachedTokens ?? 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens ?? 0 },
    total_tokens: inputTokens + outputTokens,
  };
}
