import { WaggleError } from '../../errors.js';

/** Whether an agent is well and only has no room now. */
export function isBusy(failure: unknown): failure is WaggleError<'AGENT_UNAVAILABLE'> {
  return WaggleError.is(failure, 'AGENT_UNAVAILABLE') && Boolean(failure.details?.busy);
}

/** Whether it shows that nothing answers where the agent asks. */
export function isUnreachable(failure: unknown): failure is WaggleError<'AGENT_UNAVAILABLE'> {
  return WaggleError.is(failure, 'AGENT_UNAVAILABLE') && !isBusy(failure);
}
