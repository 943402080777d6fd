import { messageOf, statusFailure, type Upstream, upstreamFailure, type WaggleError } from '#kernel';

/** The catalogue's error for whatever went wrong between us and Ollama. Bodies and addresses stay out of the message. */
export function failureOf(ollama: Upstream, cause: unknown): WaggleError {
  const { status_code: status } = cause as { readonly status_code?: number };
  if (status === undefined) return upstreamFailure(ollama, cause);
  const message = messageOf(cause);
  const [, model] = (status === 404 && /^model ['"](.+)['"] not found/.exec(message)) || [];
  return statusFailure(ollama, { status, message, model }, { cause });
}
