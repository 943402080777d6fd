import { WaggleError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { ModelList } from './model-list.js';
import type { TrackRecord } from './track-record.js';
import type { Watchdog } from './watchdog.js';

/** The part of an agent that a failed answer concerns. */
export interface FailureContext {
  readonly agent: string;
  readonly models: ModelList;
  readonly record: TrackRecord;
  failureOf(cause: unknown): WaggleError;
}

/** The failure of an answer as a WaggleError, noted in the record of the model server and in its list of models. */
export function answerFailure(
  { agent, models, record, failureOf }: FailureContext,
  error: unknown,
  expired: Watchdog['expired'],
  logger: Logger,
): WaggleError {
  const failure = expired
    ? new WaggleError('AGENT_TIMEOUT', { agent, ...expired }, { cause: error })
    : failureOf(error);
  if (WaggleError.is(failure, 'AGENT_FAILED') && failure.details?.model) models.forget(failure.details.model);
  record.answerFailed(failure);
  if (!expired) logger.debug({ err: failure }, 'the model server failed');
  return failure;
}
