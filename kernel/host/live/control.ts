import { messageOf, WaggleError } from '../../errors.js';
import { exitCodes } from '../stop-signals.js';
import type { ControlAnswer, ControlCommand } from './control-socket.js';
import { differenceText } from './difference-text.js';
import { isStopping, type LiveConfig } from './live-config.js';
import { touchedBy } from './touched.js';

/** Performs a command of an operator on the config of a running server. */
export async function control(live: LiveConfig, command: ControlCommand): Promise<ControlAnswer> {
  try {
    // Before a change, which ends what it touches.
    const touched = touchedBy(live.kernel);
    const text = differenceText(await live[command](), touched);
    if (command === 'apply') live.logger.info({ change: text.trim().split('\n') }, 'the config was applied');
    return { text, code: exitCodes.clean };
  } catch (error) {
    if (WaggleError.is(error, 'KERNEL_CONFIG_INVALID'))
      return { text: `${error.details.issues.join('\n')}\n`, code: exitCodes.badConfig };
    if (isStopping(error)) return { text: 'waggle: the server is stopping\n', code: exitCodes.failed };
    if (command === 'apply') live.logger.error({ err: error }, 'the config was not applied');
    return { text: `waggle: nothing was changed: ${messageOf(error)}\n`, code: exitCodes.failed };
  }
}
