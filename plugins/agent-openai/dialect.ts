import { ModelError } from '#sdk/upstream';

/** Request fields in which servers differ. */
export interface Dialect {
  readonly maxTokensField: 'max_tokens' | 'max_completion_tokens';
  readonly streamOptions: boolean;
}

const unsupported =
  /unsupported|not supported|does not support|unknown|unrecognized|unexpected|extra|not permitted|not allowed|instead|invalid_request_error unsupported_parameter/i;

/** Whether a model was refused because it has no reasoning effort, which clients send to every model. */
export function refusesEffort(error: unknown): boolean {
  if (!(error instanceof ModelError)) return false;
  const { status = 0, code = '' } = error.info;
  const said = `${code} ${error.message}`;
  return (status === 400 || status === 422) && /reasoning[_. ]?effort/.test(said) && unsupported.test(said);
}

/** An alternative dialect after a refusal; undefined where the refusal has another reason. */
export function alternativeTo(dialect: Dialect, error: unknown): Dialect | undefined {
  if (!(error instanceof ModelError)) return undefined;
  const { status = 0, code = '' } = error.info;
  if (status !== 400 && status !== 422) return undefined;
  const said = `${code} ${error.message}`;
  if (dialect.streamOptions && /stream_options|include_usage/.test(said))
    return { ...dialect, streamOptions: false };
  // Some servers name both the wrong field and its replacement.
  const { maxTokensField: field } = dialect;
  if (!new RegExp(`\\b${field}\\b`).test(said) || !unsupported.test(said)) return undefined;
  return { ...dialect, maxTokensField: field === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens' };
}
