import { WaggleError } from '../errors.js';

/** Whether an agent is healthy and only has no capacity now. */
export function isBusy(failure: unknown): failure is WaggleError<'AGENT_UNAVAILABLE'> {
  return WaggleError.is(failure, 'AGENT_UNAVAILABLE') && Boolean(failure.details?.busy);
}

/** Whether nothing answers at the address of the agent's server. */
export function isUnreachable(failure: unknown): failure is WaggleError<'AGENT_UNAVAILABLE'> {
  return WaggleError.is(failure, 'AGENT_UNAVAILABLE') && !isBusy(failure);
}
