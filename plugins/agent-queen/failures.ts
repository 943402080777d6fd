import { type Capability, type ChatMessage, type ChatRequest, httpStatus, WaggleError } from '#kernel';
import { isBusy } from '#sdk/upstream';

/** Limits of this server that have a status of the server. */
const limits = new Set<string>(['QUEUE_FULL', 'SHUTTING_DOWN']);

/** Whether it is the request that cannot be answered so, by this agent or by any: the client's mistake. */
export function isRefusal(failure: unknown): boolean {
  if (WaggleError.is(failure, 'AGENT_FAILED')) return Boolean(failure.details?.refused);
  const status = statusOf(failure);
  // A conflict is one with others who ask now.
  return status < 500 && status !== 409;
}

/** What another agent may have that this one lacks, where the request failed for that. */
export function lackOf(failure: unknown): string | undefined {
  if (!WaggleError.is(failure, 'AGENT_FAILED')) return undefined;
  return failure.details?.lacks ?? (failure.details?.model && 'model');
}

/** Whether the next candidate may answer in the place of one that failed before its first token. */
export function isForTheNext(failure: unknown): boolean {
  return lackOf(failure) !== undefined || !isRefusal(failure);
}

/**
 * Whether a failure says that an agent may be ill, so that its health is looked at before the next request. Limits of this
 * server, requests that no agent could answer, models that it does not have and a full queue say nothing about it.
 */
export function isFault(failure: unknown): boolean {
  if (isBusy(failure) || isRefusal(failure) || lackOf(failure)) return false;
  const { code = '' } = failure as { readonly code?: string };
  return statusOf(failure) >= 500 && !limits.has(code);
}

/**
 * What a client reads of a failure where the words of a model server about its own faults are for operators: they may hold
 * anything of that machine. `id` is how the log calls the request.
 */
export function withoutDetails(failure: unknown, id: string): unknown {
  if (isRefusal(failure) || lackOf(failure)) return failure;
  const why = `its model server is at fault; the server's log has the reason (stream ${id})`;
  if (WaggleError.is(failure, 'AGENT_FAILED') || WaggleError.is(failure, 'AGENT_PROTOCOL'))
    return new WaggleError(failure.code, { agent: failure.details.agent, why }, { cause: failure });
  return failure;
}

/** What a request needs of an agent beside words. */
export function needsOf({ messages, options = {} }: ChatRequest): readonly Capability[] {
  const needs: Capability[] = [];
  if (options.tools?.length) needs.push('tools');
  if (options.format) needs.push('format');
  if (messages.some(showsImage)) needs.push('images');
  return needs;
}

function showsImage({ images = [], parts = [] }: ChatMessage): boolean {
  return images.length > 0 || parts.some(({ type }) => type === 'image');
}

function statusOf(failure: unknown): number {
  const { code = '' } = failure as { readonly code?: string };
  return Object.hasOwn(httpStatus, code) ? httpStatus[code as keyof typeof httpStatus] : 500;
}
