import { messageOf, WaggleError } from './errors.js';

interface Step {
  readonly plugin: string;
  readonly phase: string;
  readonly timeoutMs: number;
  /** Aborts when the kernel is stopped. */
  readonly signal: AbortSignal;
  run(): void | Promise<void>;
}

/** Calls a plugin with a time limit. @throws KERNEL_PLUGIN_FAILED with the cause, KERNEL_PLUGIN_TIMEOUT, KERNEL_START_ABORTED */
export async function withTimeout({ plugin, phase, timeoutMs, signal, run }: Step): Promise<void> {
  if (signal.aborted) throw new WaggleError('KERNEL_START_ABORTED', {});
  const over = new AbortController();
  const bound = new Promise<never>((_resolve, reject) => {
    const timer = setTimeout(
      () => reject(new WaggleError('KERNEL_PLUGIN_TIMEOUT', { plugin, phase, timeoutMs })),
      timeoutMs,
    );
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
