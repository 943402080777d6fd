import { timerMs } from './duration.js';

const list = (items: readonly string[]): string => items.join(', ') || 'none';
const lines = (items: readonly string[]): string => items.map((item) => `\n  ${item}`).join('');

/** Mistakes of plugins and operators. They end a start or a call; clients never see them. */
const kernelErrors = {
  KERNEL_STATE: (d: { action: string; state: string }) => `cannot ${d.action} while the kernel is ${d.state}`,
  KERNEL_START_ABORTED: (_: Record<never, never>) => 'the start was aborted by a stop',
  KERNEL_CONFIG_INVALID: (d: { issues: readonly string[] }) =>
    `the configuration has ${d.issues.length} mistake(s):${lines(d.issues)}`,
  KERNEL_PLUGIN_INVALID: (d: { plugin: string; why: string }) => `"${d.plugin}" is not a plugin: ${d.why}`,
  KERNEL_PLUGIN_DUPLICATE: (d: { plugin: string }) =>
    `two plugins have the id "${d.plugin}"; give one of them another key in the config`,
  KERNEL_PLUGIN_UNKNOWN: (d: { plugin: string; known: readonly string[] }) =>
    `no plugin has the id "${d.plugin}" (running: ${list(d.known)})`,
  KERNEL_PLUGIN_FAILED: (d: { plugin: string; phase: string; why: string }) =>
    `plugin "${d.plugin}" failed during ${d.phase}: ${d.why}`,
  KERNEL_PLUGIN_TIMEOUT: (d: {
    plugin: string;
    phase: string;
    timeoutMs: number;
    left?: readonly string[];
  }) =>
    `plugin "${d.plugin}": ${d.phase} timed out after ${d.timeoutMs} ms${d.left ? ` (left behind: ${list(d.left)})` : ''}`,
  KERNEL_STOP_FAILED: (d: { failures: readonly string[] }) =>
    `${d.failures.length} plugin(s) did not stop cleanly:${lines(d.failures)}`,
  KERNEL_DEPENDENCY_MISSING: (d: { missing: readonly string[] }) =>
    `unsatisfied requirements:${lines(d.missing)}`,
  KERNEL_DEPENDENCY_CYCLE: (d: { path: readonly string[] }) =>
    `plugins require each other: ${d.path.join(' -> ')}`,
  KERNEL_SERVICE_CONFLICT: (d: { service: string; owner: string; plugin: string }) =>
    `"${d.plugin}" cannot provide ${d.service}: "${d.owner}" already does; disable one of them`,
  KERNEL_SERVICE_MISSING: (d: { service: string }) => `no running plugin provides ${d.service}`,
  KERNEL_SERVICE_UNDECLARED: (d: { service: string; plugin: string }) =>
    `"${d.plugin}" provided ${d.service} without listing it in "provides"`,
  KERNEL_SERVICE_PROMISED: (d: { service: string; plugin: string }) =>
    `"${d.plugin}" lists ${d.service} in "provides", but setup() did not provide it`,
  KERNEL_REGISTRY_CONFLICT: (d: { kind: string; name: string; owner: string; plugin: string }) =>
    `"${d.plugin}" cannot register the ${d.kind} "${d.name}": "${d.owner}" already did`,
  KERNEL_TASK_INVALID: (d: { plugin: string; task: string; why: string }) =>
    `"${d.plugin}" cannot register the task "${d.task}": ${d.why}`,
  KERNEL_EVENT_LOOP: (d: { event: string; path: readonly string[] }) =>
    `"${d.event}" leads to itself and was stopped with all that it led to: ${d.path.join(' -> ')}`,
  KERNEL_SCOPE_CLOSED: (d: { plugin: string; label: string }) =>
    `plugin "${d.plugin}" has stopped and cannot do "${d.label}" any more`,
  ROUTE_INVALID: (d: { path: string; why: string }) => `cannot serve "${d.path}": ${d.why}`,
  ROUTE_CONFLICT: (d: { method: string; path: string }) => `${d.method} ${d.path} is served already`,
  STORE_UNUSABLE: (d: { path: string; why: string }) => `cannot keep conversations in "${d.path}": ${d.why}`,
  STORE_FAILED: (d: { path: string; why: string }) =>
    `cannot read or write conversations in "${d.path}": ${d.why}`,
  BACKUP_FAILED: (d: { path: string; file: string; why: string }) =>
    `cannot copy "${d.path}" to "${d.file}": ${d.why}`,
  LISTEN_FAILED: (d: { host: string; port: number; why: string }) =>
    `cannot listen on ${d.host}:${d.port}: ${d.why} ${d.host}:${d.port}`,
} as const;

/** What a client may see. Messages carry no stack, no file path and no secret. */
const clientErrors = {
  INVALID_JSON: (d: { why?: string }) => `invalid JSON${d.why ? `: ${d.why}` : ''}`,
  INVALID_FRAME: (d: { issues: readonly string[] }) => `invalid frame: ${d.issues.join('; ')}`,
  INVALID_REQUEST: (d: { issues: readonly string[] }) => `invalid request: ${d.issues.join('; ')}`,
  TOO_DEEP: (d: { depthLimit: number }) => `the JSON is nested deeper than ${d.depthLimit} levels`,
  TOO_LARGE: (d: { limitBytes: number }) => `more than ${d.limitBytes} bytes`,
  UNKNOWN_TYPE: (d: { type: string; known: readonly string[] }) =>
    `unknown frame type "${d.type}" (known: ${list(d.known)})`,
  HOST_NOT_ALLOWED: (d: { host: string }) =>
    `this server is not called "${d.host}"; if it is, list that name in "allowedHosts" of the transport's config; a proxy in front has to pass "Host" on as it came`,
  FORBIDDEN: (d: { why: string }) => `refused: ${d.why}`,
  NOT_FOUND: (d: { path: string }) => `nothing is at ${d.path}`,
  METHOD_NOT_ALLOWED: (d: { method: string; allow: readonly string[] }) =>
    `${d.method} is not allowed here (allowed: ${list(d.allow)})`,
  UPGRADE_REQUIRED: (d: { path: string }) => `${d.path} speaks WebSocket (version 13) only`,
  /** `codings`: what is read where the type is that of a compression. */
  UNSUPPORTED_MEDIA_TYPE: (d: { type: string; codings?: string }) =>
    d.codings
      ? `cannot read the Content-Encoding "${d.type}"; send ${d.codings} or none`
      : `cannot read "${d.type}"; send application/json`,
  AGENT_UNKNOWN: (d: { agent: string; known: readonly string[] }) =>
    `no agent is called "${d.agent}" (known: ${list(d.known)})`,
  /** `busy`, a status of HTTP, where it is well and has no room now: asked again after `retryAfterMs` it may answer. */
  AGENT_UNAVAILABLE: (d: { agent: string; why: string; retryAfterMs?: number; busy?: number }) =>
    `agent "${d.agent}" is not available: ${d.why}`,
  AGENT_TIMEOUT: (d: { agent: string; phase: string; timeoutMs: number }) =>
    `agent "${d.agent}" took longer than ${d.timeoutMs} ms (${d.phase})`,
  AGENT_PROTOCOL: (d: { agent: string; why: string }) =>
    `agent "${d.agent}" answered in a form that cannot be read: ${d.why}`,
  AGENT_DISCONNECTED: (d: { agent: string; why: string }) =>
    `agent "${d.agent}" ended before its answer was complete: ${d.why}`,
  /**
   * `model` where it failed because it has none of that name; `refused`, a status of HTTP, where it is well and does not
   * take this request, which is then the client's mistake; with `lacks` where another agent could take it.
   */
  AGENT_FAILED: (d: {
    agent: string;
    why: string;
    model?: string | undefined;
    refused?: number | undefined;
    lacks?: string | undefined;
  }) => `agent "${d.agent}" failed: ${d.why}`,
  CONTEXT_TOO_LONG: (d: { agent: string; why: string }) =>
    `this is more than the model of agent "${d.agent}" can read: ${d.why}`,
  CONVERSATION_UNKNOWN: (d: { conversationId: string }) =>
    `this user has no conversation "${d.conversationId}"`,
  STREAM_UNKNOWN: (d: { streamId: string }) => `no stream "${d.streamId}" is running`,
  STREAM_GONE: (d: { streamId: string }) =>
    `stream "${d.streamId}" can not be read any more, or never existed`,
  BUSY: (d: { limit: number; what: string }) =>
    `no more than ${d.limit} ${d.what} at once; wait for one to end`,
  IDEMPOTENCY_MISMATCH: (_: Record<never, never>) =>
    'this key already stands for another request; give each request a key of its own',
  QUEUE_FULL: (d: { limit: number; what: string; retryAfterMs: number }) =>
    `the server already has ${d.limit} ${d.what}; try again later`,
  TASK_UNKNOWN: (d: { task: string }) => `no task "${d.task}"`,
  TASK_FAILED: (d: { task: string; why: string }) => `task "${d.task}" failed: ${d.why}`,
  TASK_TIMEOUT: (d: { task: string; timeoutMs: number }) =>
    `task "${d.task}" took longer than ${d.timeoutMs} ms`,
  TASK_CANCELLED: (d: { task: string }) => `task "${d.task}" was cancelled`,
  TASK_CRASHED: (d: { task: string; why: string }) => `task "${d.task}" crashed: ${d.why}`,
  TASK_OUT_OF_MEMORY: (d: { task: string }) => `task "${d.task}" needs more memory than it may have`,
  SHUTTING_DOWN: (_: { retryAfterMs?: number }) => 'the server is shutting down; connect again',
  DEADLINE_EXCEEDED: (d: { timeoutMs: number }) => `no answer within ${d.timeoutMs} ms`,
  INTERNAL: (_: Record<never, never>) => 'internal error; the log of the server knows more',
} as const;

/** Every deliberate error, one row a code: README lists them, and a test compares the two. */
export const errorCatalog = { ...kernelErrors, ...clientErrors };

/** Every code of the catalogue. */
export type ErrorCode = keyof typeof errorCatalog;
/** A code that a client may see. */
export type ClientErrorCode = keyof typeof clientErrors;
/** All of them. */
export const clientErrorCodes = Object.keys(clientErrors) as readonly ClientErrorCode[];
/** Parameters of a code's message. */
export type ErrorDetails<C extends ErrorCode> = Parameters<(typeof errorCatalog)[C]>[0];
/** @deprecated `mistakes` is the former name of `issues`. */
type FormerDetails<C extends ErrorCode> =
  ErrorDetails<C> extends { readonly issues: readonly string[] }
    ? { readonly mistakes: readonly string[] }
    : never;

/** An error with a code of the catalogue. Compare codes, not classes: a plugin may bring its own copy of this package. */
export class WaggleError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'WaggleError';
  readonly details: ErrorDetails<C>;

  constructor(
    readonly code: C,
    given: ErrorDetails<C> | FormerDetails<C>,
    options?: ErrorOptions,
  ) {
    const details = ('mistakes' in given ? { issues: given.mistakes } : given) as ErrorDetails<C>;
    super((errorCatalog[code] as (d: ErrorDetails<C>) => string)(details), options);
    this.details = details;
  }

  /** When to try again, in milliseconds, where that helps. */
  get retryAfterMs(): number | undefined {
    const { retryAfterMs: ms } = this.details as { retryAfterMs?: unknown };
    // Third parties make errors, too.
    return typeof ms === 'number' && ms >= 0 ? timerMs(ms) : undefined;
  }

  static is<C extends ErrorCode>(error: unknown, code: C): error is WaggleError<C> {
    return isWaggleError(error) && error.code === code;
  }
}

/** The error itself if a client may see it, else `INTERNAL` with the error as its cause. */
export function toClientError(error: unknown): WaggleError<ClientErrorCode> {
  if (isWaggleError(error) && error.code in clientErrors) return error as WaggleError<ClientErrorCode>;
  return new WaggleError('INTERNAL', {}, { cause: error });
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return 'something that cannot be shown';
  }
}

function isWaggleError(error: unknown): error is WaggleError {
  return error instanceof Error && error.name === 'WaggleError' && 'code' in error;
}
