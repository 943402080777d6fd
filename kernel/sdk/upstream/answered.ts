import { WaggleError } from '../../errors.js';
import { ExchangeError } from './exchange.js';

/** Whether the server has answered, though not with what was asked for: a status, a page, a body that cannot be read. */
export function hasAnswered(cause: unknown): boolean {
  if (cause instanceof WaggleError) return true;
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  if (cause instanceof ExchangeError)
    return /^(REDIRECT|CONTENT_TYPE|TOO_LARGE|ENCODING|LATE)$/.test(cause.code);
  return typeof code !== 'string';
}
