import type { ChatMessage, ChatOptions, ChatRequest, ToolCall } from '#kernel';

/** The body of `/chat/completions`: what is absent stays unset, so that the server's own defaults hold. */
export function bodyOf(
  { messages, options = {} }: ChatRequest,
  model: string,
  maxTokensField: 'max_tokens' | 'max_completion_tokens',
): object {
  const { tools = [], toolChoice, format } = options;
  return defined({
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
    response_format: format && formatFor(format),
    tools: tools.length > 0 ? tools.map((tool) => ({ type: 'function', function: tool })) : undefined,
    tool_choice: tools.length > 0 ? toolChoiceFor(toolChoice) : undefined,
  });
}

function messageFor({ role, content, images, toolCalls, toolCallId }: ChatMessage): object {
  const pictures = images?.map((url) => ({ type: 'image_url', image_url: { url } }));
  return defined({
    role,
    content: pictures ? [{ type: 'text', text: content }, ...pictures] : content,
    tool_calls: toolCalls?.map(toolCallFor),
    tool_call_id: role === 'tool' ? (toolCallId ?? '') : undefined,
  });
}

function toolCallFor({ id, name, arguments: args, extra }: ToolCall): object {
  return { ...extra, id, type: 'function', function: { name, arguments: args } };
}

function formatFor(format: NonNullable<ChatOptions['format']>): object {
  if (format === 'json') return { type: 'json_object' };
  return { type: 'json_schema', json_schema: { name: 'answer', schema: format } };
}

function toolChoiceFor(choice: ChatOptions['toolChoice']): unknown {
  return typeof choice === 'object' ? { type: 'function', function: choice } : choice;
}

function defined(fields: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
