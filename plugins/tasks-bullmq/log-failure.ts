import { type Logger, WaggleError } from '#kernel';
import { engineError } from '#sdk/redis';

/** Logs that a regular look at Redis has failed; the next one may not. */
export function logFailure(logger: Logger, err: unknown, message: string): void {
  // Without a connection the link has said so.
  const level = WaggleError.is(engineError(err), 'ENGINE_UNAVAILABLE') ? 'debug' : 'error';
  logger[level]({ err }, message);
}
