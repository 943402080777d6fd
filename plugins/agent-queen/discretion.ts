import { WaggleError } from '#kernel';
import { isRefusal, lackOf } from './blame.js';

/**
 * What a client reads of a failure where the words of a model server about its own faults are for operators: they may hold
 * anything of that machine. `id` is how the log calls the request.
 */
export function discreet(failure: unknown, id: string): unknown {
  if (isRefusal(failure) || lackOf(failure)) return failure;
  const why = `its model server is at fault; the server's log has the reason (stream ${id})`;
  if (WaggleError.is(failure, 'AGENT_FAILED') || WaggleError.is(failure, 'AGENT_PROTOCOL'))
    return new WaggleError(failure.code, { agent: failure.details.agent, why }, { cause: failure });
  return failure;
}
