import type { Message, ChatRequest as OllamaRequest, Tool } from 'ollama/browser';
import type { ChatMessage, ChatOptions, ChatRequest } from '#kernel';
import type { Verbatim } from '#sdk';
import type { ModelError } from '#sdk/upstream';
import { moreOptions, ownOptions, thinkIn } from './options.js';

/** Body of a request for a streamed answer. */
export type Streamed = OllamaRequest & { readonly stream: true };

/** Body of `/api/chat`. Absent options stay unset, so that the model's defaults apply. */
export function bodyOf({ messages, options = {} }: ChatRequest, model: string, verbatim: Verbatim): Streamed {
  const { temperature, topP, maxTokens, seed, stop, presencePenalty, frequencyPenalty, format } = options;
  const { reasoningEffort, tools = [], toolChoice, more = {} } = options;
  const own = ownOptions(options);
  const think = reasoningEffort ? thinkFor(reasoningEffort) : (own.think ?? thinkIn(more));
  const keepAlive = own.keep_alive ?? more.keep_alive;
  return {
    model,
    messages: messages.map((message) => messageFor(message, verbatim)),
    stream: true,
    ...(think !== undefined && { think: think as boolean }),
    ...(keepAlive !== undefined && { keep_alive: keepAlive as string }),
    ...(format && { format }),
    // Otherwise Ollama cuts a prompt that is too long without a word.
    ...(options.truncate === false && { truncate: false }),
    ...(more.logprobs === true && { logprobs: true, ...topOf(more.top_logprobs) }),
    // Ollama has no tool choice: for `none` the tools are omitted, otherwise the model decides.
    ...(tools.length > 0 && toolChoice !== 'none' && { tools: tools.map(toolFor) }),
    options: {
      ...moreOptions(more),
      ...own.options,
      ...(temperature !== undefined && { temperature }),
      ...(topP !== undefined && { top_p: topP }),
      ...(maxTokens !== undefined && { num_predict: maxTokens }),
      ...(seed !== undefined && { seed }),
      ...(stop !== undefined && { stop: [...stop] }),
      ...(presencePenalty !== undefined && { presence_penalty: presencePenalty }),
      ...(frequencyPenalty !== undefined && { frequency_penalty: frequencyPenalty }),
    },
  };
}

/** The number of likely tokens that the log probabilities tell of, for each place. */
function topOf(count: unknown): { readonly top_logprobs?: number } {
  return typeof count === 'number' ? { top_logprobs: count } : {};
}

/** The request again, without `think`, where a reasoning effort was requested from a model that cannot think. */
export function withoutEffort(
  body: Streamed,
  options: ChatOptions = {},
  refusal: ModelError,
): Streamed | undefined {
  if (!options.reasoningEffort || !/does not support thinking/.test(refusal.message)) return undefined;
  const { think: _, ...rest } = body;
  return rest;
}

function messageFor(
  { role, content, images, toolCalls, toolName, thinking }: ChatMessage,
  verbatim: Verbatim,
): Message {
  return {
    role,
    content,
    ...(images && { images: images.map((url) => url.slice(url.indexOf(',') + 1)) }),
    ...(toolCalls && {
      tool_calls: toolCalls.map(({ name, arguments: args }) => ({
        function: { name, arguments: verbatim.object(args) },
      })),
    }),
    ...(thinking && { thinking }),
    ...(toolName && { tool_name: toolName }),
  };
}

function toolFor({ name, description, parameters }: NonNullable<ChatOptions['tools']>[number]): Tool {
  const called = { name, ...(description && { description }), ...(parameters && { parameters }) };
  return { type: 'function', function: called as Tool['function'] };
}

// The types of the client lack `max`.
function thinkFor(effort: NonNullable<ChatOptions['reasoningEffort']>): NonNullable<OllamaRequest['think']> {
  const levels = { none: false, minimal: 'low', low: 'low', medium: 'medium', high: 'high' } as const;
  return effort === 'xhigh' || effort === 'max' ? ('max' as 'high') : levels[effort];
}
