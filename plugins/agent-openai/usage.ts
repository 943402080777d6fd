import type { Usage } from '#kernel';

type Fields = Readonly<Record<string, unknown>>;

/** Token usage of an answer, from any known format. */
export function usageIn(value: unknown): Usage | undefined {
  const usage = fieldsOf(value);
  const input = count(usage.prompt_tokens) ?? count(usage.input_tokens);
  const output = count(usage.completion_tokens) ?? count(usage.output_tokens);
  if (input === undefined && output === undefined) return undefined;
  const prompt = fieldsOf(usage.prompt_tokens_details ?? usage.input_tokens_details);
  const completion = fieldsOf(usage.completion_tokens_details ?? usage.output_tokens_details);
  const cachedTokens =
    count(prompt.cached_tokens) ?? count(usage.prompt_cache_hit_tokens) ?? count(usage.cached_tokens);
  const reasoningTokens = count(completion.reasoning_tokens) ?? count(usage.reasoning_tokens);
  return {
    inputTokens: input ?? 0,
    outputTokens: output ?? 0,
    ...(cachedTokens !== undefined && { cachedTokens }),
    ...(reasoningTokens !== undefined && { reasoningTokens }),
  };
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}
