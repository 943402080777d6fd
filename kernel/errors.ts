import { clientErrors, operatorErrors } from './contracts/error-codes.js';
import { timerMs } from './duration.js';

type ClientErrors = typeof clientErrors;

const clientMessages = Object.fromEntries(
  Object.entries(clientErrors).map(([code, [, message]]) => [code, message]),
) as { readonly [C in keyof ClientErrors]: ClientErrors[C][1] };

/** The message of every deliberate error, by code. */
export const errorCatalog = { ...operatorErrors, ...clientMessages };

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

  /** The delay before another attempt, where that helps. */
  get retryAfterMs(): number | undefined {
    const { retryAfterMs: ms } = this.details as { retryAfterMs?: unknown };
    return typeof ms === 'number' && ms >= 0 ? timerMs(ms) : undefined;
  }

  static is<C extends ErrorCode>(error: unknown, code: C): error is WaggleError<C> {
    return isWaggleError(error) && error.code === code;
  }
}

/** The error itself if a client may see it, else `INTERNAL` with the error as its cause. */
export function toClientError(error: unknown): WaggleError<ClientErrorCode> {
  if (isWaggleError(error) && error.code in clientErrors) {
    // A copy of the former release says `mistakes`.
    const { mistakes } = (error.details ?? {}) as { readonly mistakes?: unknown };
    return (mistakes ? new WaggleError(error.code, error.details) : error) as WaggleError<ClientErrorCode>;
  }
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
