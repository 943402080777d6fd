import { ModelError } from '#sdk/upstream';

/** In which words a server is asked, as far as servers differ. */
export interface Words {
  readonly maxTokensField: 'max_tokens' | 'max_completion_tokens';
  readonly streamOptions: boolean;
}

/** Other words where a server has refused these; undefined where it has refused something else. */
export function otherWords(words: Words, error: unknown): Words | undefined {
  if (!(error instanceof ModelError)) return undefined;
  const { status = 0, code = '' } = error.info;
  if (status !== 400 && status !== 422) return undefined;
  const said = `${code} ${error.message}`;
  if (words.streamOptions && /stream_options|include_usage/.test(said))
    return { ...words, streamOptions: false };
  // Some name both: what is wrong, and what is to be taken in its place.
  const { maxTokensField: field } = words;
  if (
    !new RegExp(`\\b${field}\\b`).test(said) ||
    !/unsupported|not supported|unknown|unrecognized|unexpected|extra|not permitted|not allowed|instead|invalid_request_error unsupported_parameter/i.test(
      said,
    )
  )
    return undefined;
  return { ...words, maxTokensField: field === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens' };
}
