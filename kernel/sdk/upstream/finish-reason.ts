/** Spellings of a regular end in the APIs of model servers, by finish reason. */
const spellings: Readonly<Record<string, readonly string[]>> = {
  stop: [
    ...[
      'stop',
      'stopped',
      'eos',
      'eos_token',
      'end_of_text',
      'stop_token',
      'stop_sequence',
      'stop_word',
      'end',
    ],
    ...['end_turn', 'finish', 'finished', 'complete', 'completed', 'done'],
  ],
  length: [
    ...['length', 'max_length', 'max_tokens', 'max_new_tokens', 'max_output_tokens', 'token_limit', 'limit'],
    ...['model_length', 'model_context_window_exceeded'],
  ],
  tool_calls: ['tool_calls', 'tool_call', 'function_call', 'tool_use'],
  content_filter: [
    ...[
      'content_filter',
      'content_filtered',
      'safety',
      'recitation',
      'blocklist',
      'prohibited_content',
      'spii',
    ],
    ...['sensitive', 'guardrail_intervened'],
  ],
  refusal: ['refusal'],
};

const reasons = new Map(
  Object.entries(spellings).flatMap(([reason, words]) => words.map((word) => [word, reason] as const)),
);

/**
 * The finish reason for a server's word; undefined for any other word. `error`, `abort` and unknown words are no regular
 * end: a truncated answer must not pass for a complete one.
 */
export function finishReason(word: string): string | undefined {
  return reasons.get(word.trim().toLowerCase().replaceAll('-', '_'));
}
