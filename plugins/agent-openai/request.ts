import type { ChatOptions, ChatRequest } from '#kernel';
import type { Config } from './config.js';
import type { Dialect } from './dialect.js';
import { messageFor } from './messages.js';

/** Body of `/chat/completions`. Absent options stay unset, so that the server's defaults apply. */
export function bodyOf(
  { messages, options = {} }: ChatRequest,
  model: string,
  { maxTokensField, streamOptions, stream, body }: Dialect & Pick<Config, 'stream' | 'body'>,
): object {
  const { tools = [], toolChoice, format } = options;
  const hasTools = tools.length > 0;
  const asked = defined({
    // Without a list of models, the server has only one, or its URL names it.
    model: model || undefined,
    messages: messages.map(messageFor),
    stream,
    stream_options: stream && streamOptions ? { include_usage: true } : undefined,
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
  return {
    ...(options.maxTokens === undefined ? body : without(body, ['max_tokens', 'max_completion_tokens'])),
    ...options.more,
    ...asked,
  };
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
  const all: Record<string, unknown> = {};
  for (const name in fields) if (fields[name] !== undefined) all[name] = fields[name];
  return all;
}

function without(fields: Readonly<Record<string, unknown>>, names: readonly string[]): object {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}
