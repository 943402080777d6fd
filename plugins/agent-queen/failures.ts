import { type Capability, type ChatMessage, type ChatRequest, httpStatus, WaggleError } from '#kernel';
import { isBusy } from '#sdk';

/** Limits of this server with a 5xx status. */
const limits = new Set<string>(['QUEUE_FULL', 'ENGINE_UNAVAILABLE', 'SHUTTING_DOWN']);

/** Whether the request itself is at fault, for this agent or for any. */
export function isRefusal(failure: unknown): boolean {
  if (WaggleError.is(failure, 'AGENT_FAILED')) return Boolean(failure.details?.refused);
  const status = statusOf(failure);
  // A conflict is one with other running requests.
  return status < 500 && status !== 409;
}

/** The missing capability that made the request fail, which another agent may have. */
export function lackOf(failure: unknown): string | undefined {
  if (!WaggleError.is(failure, 'AGENT_FAILED')) return undefined;
  return failure.details?.lacks ?? (failure.details?.model && 'model');
}

/** Whether to ask the next candidate after a failure before the first token. */
export function isForTheNext(failure: unknown): boolean {
  return lackOf(failure) !== undefined || !isRefusal(failure);
}

/**
 * Whether a failure casts doubt on the agent's health, so that it is checked before the next request. Limits of this server,
 * invalid requests, missing models and a full queue do not.
 */
export function isFault(failure: unknown): boolean {
  if (isBusy(failure) || isRefusal(failure) || lackOf(failure)) return false;
  const { code = '' } = failure as { readonly code?: string };
  return statusOf(failure) >= 500 && !limits.has(code);
}

/**
 * A failure without the text of the model server about its own faults, which may reveal details of that machine. `id` is the
 * id of a stream in the log.
 */
export function withoutDetails(failure: unknown, id?: string): unknown {
  if (isRefusal(failure) || lackOf(failure)) return failure;
  const place = id === undefined ? '' : ` (stream ${id})`;
  const why = `its model server is at fault; the server's log has the reason${place}`;
  if (WaggleError.is(failure, 'AGENT_FAILED') || WaggleError.is(failure, 'AGENT_PROTOCOL'))
    return new WaggleError(failure.code, { agent: failure.details.agent, why }, { cause: failure });
  return failure;
}

/** Whether a request failed because the model does not see. */
export function lacksSight(failure: unknown): boolean {
  return /^(images?|vision|multimodal)$/i.test(lackOf(failure) ?? '');
}

/** The capabilities that a request needs. `question`: pictures before this message are sent only to models that see. */
export function needsOf(
  { messages, options = {} }: ChatRequest,
  question?: ChatMessage,
): readonly Capability[] {
  const from = question ? Math.max(0, messages.indexOf(question)) : 0;
  const needs: Capability[] = [];
  if (options.tools?.length) needs.push('tools');
  if (options.format) needs.push('format');
  if (messages.some((message, at) => at >= from && showsImage(message))) needs.push('images');
  return needs;
}

export function showsImage({ images = [], parts = [] }: ChatMessage): boolean {
  return images.length > 0 || parts.some(({ type }) => type === 'image');
}

function statusOf(failure: unknown): number {
  const { code = '' } = failure as { readonly code?: string };
  return Object.hasOwn(httpStatus, code) ? httpStatus[code as keyof typeof httpStatus] : 500;
}
