import { clientErrors, serviceErrors } from './contracts/error-codes.js';
import { timerMs } from './duration.js';

const list = (items: readonly string[]): string => items.join(', ') || 'none';
const lines = (items: readonly string[]): string => items.map((item) => `\n  ${item}`).join('');

/** Mistakes of plugins and operators. They end a start or a call, and no client sees them. */
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
} as const;

type ClientErrors = typeof clientErrors;

const clientMessages = Object.fromEntries(
  Object.entries(clientErrors).map(([code, [, message]]) => [code, message]),
) as { readonly [C in keyof ClientErrors]: ClientErrors[C][1] };

/** The message of every deliberate error, by code. */
export const errorCatalog = { ...kernelErrors, ...serviceErrors, ...clientMessages };

/** Every code of the catalogue. */
export type ErrorCode = keyof typeof errorCatalog;
/** A code that a client may see. */
export type ClientErrorCode = keyof ClientErrors;
/** Every code that a client may see. */
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
