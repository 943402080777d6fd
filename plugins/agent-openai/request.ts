import type { ChatOptions, ChatRequest } from '#kernel';
import { messageFor } from './messages.js';

/** The body of `/chat/completions`: what is absent stays unset, so that the server's own defaults hold. */
export function bodyOf(
  { messages, options = {} }: ChatRequest,
  model: string,
  maxTokensField: 'max_tokens' | 'max_completion_tokens',
): object {
  const { tools = [], toolChoice, format } = options;
  const hasTools = tools.length > 0;
  return defined({
    ...options.more,
    model,
    messages: messages.map(messageFor),
    stream: true,
    stream_options: { include_usage: true },
    temperature: options.temperature,
    top_p: options.topP,
    [maxTokensField]: options.maxTokens,
    seed: options.seed,
    stop: options.stop,
    presence_penalty: options.presencePenalty,
    frequency_penalty: options.frequencyPenalty,
    reasoning_effort: options.reasoningEffort,
    response_format: format && formatFor(format, options.formatDetails),
    tools: hasTools ? tools.map((tool) => ({ type: 'function', function: tool })) : undefined,
    tool_choice: hasTools ? toolChoiceFor(toolChoice) : undefined,
    parallel_tool_calls: hasTools ? options.parallelToolCalls : undefined,
  });
}

function formatFor(
  format: NonNullable<ChatOptions['format']>,
  details: ChatOptions['formatDetails'] = {},
): object {
  if (format === 'json') return { type: 'json_object' };
  return { type: 'json_schema', json_schema: { name: 'answer', ...details, schema: format } };
}

function toolChoiceFor(choice: ChatOptions['toolChoice']): unknown {
  return typeof choice === 'object' ? { type: 'function', function: choice } : choice;
}

function defined(fields: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
