import { isJsonObject } from '#sdk';

/** Progress as the protocol has it. */
export interface Progress {
  readonly progress: number;
  readonly total?: number;
  readonly message?: string;
}

const pauseMs = 100;
const messageLimitChars = 500;

/** Turns reports of any form into progress that grows, at a bounded pace. */
export class ProgressMeter {
  #last = Number.NEGATIVE_INFINITY;
  #count = 0;
  #nextAt = Number.NEGATIVE_INFINITY;

  /** The progress to send; undefined for one that comes too early or does not grow. */
  take(report: unknown): Progress | undefined {
    this.#count++;
    const progress = progressOf(report, this.#count);
    const now = performance.now();
    if (!(progress.progress > this.#last) || now < this.#nextAt) return undefined;
    this.#last = progress.progress;
    this.#nextAt = now + pauseMs;
    return progress;
  }
}

/** A number, `{ percent }`, or `{ progress, total, message }`; of any other report its number in the row. */
function progressOf(report: unknown, count: number): Progress {
  if (typeof report === 'number') return { progress: report };
  if (!isJsonObject(report)) return { progress: count, ...messageOf(report) };
  const { percent, progress, total, message } = report;
  const said = messageOf(message);
  if (typeof percent === 'number') return { progress: percent, total: 100, ...said };
  if (typeof progress !== 'number')
    return { progress: count, ...messageOf(message ?? JSON.stringify(report)) };
  return { progress, ...(typeof total === 'number' && { total }), ...said };
}

function messageOf(text: unknown): { readonly message?: string } {
  return typeof text === 'string' ? { message: text.slice(0, messageLimitChars) } : {};
}
