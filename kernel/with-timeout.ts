import { messageOf, WaggleError } from './errors.js';

/** Calls a plugin with a time limit. @throws KERNEL_PLUGIN_FAILED with the cause, KERNEL_PLUGIN_TIMEOUT, KERNEL_START_ABORTED */
export async function withTimeout(
  limit: { plugin: string; phase: string; timeoutMs: number; signal: AbortSignal },
  run: () => void | Promise<void>,
): Promise<void> {
  const { plugin, phase, timeoutMs, signal } = limit;
  if (signal.aborted) throw new WaggleError('KERNEL_START_ABORTED', {});
  const over = new AbortController();
  const bound = new Promise<never>((_resolve, reject) => {
    const late = () => reject(new WaggleError('KERNEL_PLUGIN_TIMEOUT', { plugin, phase, timeoutMs }));
    const timer = setTimeout(late, timeoutMs);
    over.signal.addEventListener('abort', () => clearTimeout(timer));
    const abort = () => reject(new WaggleError('KERNEL_START_ABORTED', {}));
    signal.addEventListener('abort', abort, { signal: over.signal });
  });
  const failed = (cause: unknown) => {
    if (WaggleError.is(cause, 'KERNEL_PLUGIN_FAILED')) throw cause;
    throw new WaggleError('KERNEL_PLUGIN_FAILED', { plugin, phase, why: messageOf(cause) }, { cause });
  };
  try {
    await Promise.race([(async () => run())().catch(failed), bound]);
  } finally {
    over.abort();
  }
}
