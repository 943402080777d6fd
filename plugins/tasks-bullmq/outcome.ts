import { type ClientErrorCode, WaggleError } from '#kernel';

/** The end of a run, as JSON. */
export interface Outcome {
  readonly state: 'succeeded' | 'failed' | 'cancelled';
  readonly output?: unknown;
  readonly error?: { readonly code: ClientErrorCode; readonly details: object } | undefined;
  readonly attempts: number;
  readonly queuedMs: number;
  readonly runMs: number;
}

/** The error of a run that has not succeeded. */
export function errorOf({ state, error }: Outcome, name: string): WaggleError<ClientErrorCode> | undefined {
  if (state === 'succeeded') return undefined;
  if (state === 'cancelled' || !error) return new WaggleError('TASK_CANCELLED', { task: name });
  return new WaggleError(error.code, error.details as never);
}
