import { expectDurations, longestMs } from './duration.js';
import { Exchange, type Line } from './exchange.js';
import type { ServerFrame } from './server-frame.js';
import type { TaskOptions } from './types.js';

/** One task run. It is never repeated: after a lost connection its progress is unknown. */
export class Task extends Exchange {
  readonly #request: object;
  readonly #onProgress: TaskOptions['onProgress'];

  constructor(line: Line, task: string, input: unknown, options: TaskOptions) {
    const { priority, timeoutMs, onProgress } = options;
    expectDurations({ timeoutMs });
    // The server's limit applies first, as its error is more specific.
    const silenceMs = timeoutMs && Math.min(longestMs, timeoutMs + line.answerTimeoutMs);
    super(line, { ...options, timeoutMs: silenceMs });
    this.#request = { type: 'task', task, input, requestId: this.requestId, priority, timeoutMs };
    this.#onProgress = onProgress;
  }

  protected ask(): void {
    if (this.sent) this.fail(this.error('CONNECTION_LOST', 'lost while the task ran'));
    else this.line.send(this.#request);
  }

  protected stop(): void {
    if (this.id !== undefined) this.line.send({ type: 'cancel_task', taskId: this.id });
  }

  protected take({ type, progress, output }: ServerFrame): void {
    const onProgress = this.#onProgress;
    if (type === 'task_result') this.succeed(output);
    else if (type === 'task_progress' && onProgress) queueMicrotask(() => onProgress(progress));
  }
}
