import type { IncomingHttpHeaders } from 'node:http';

/** Clients sleep as long as they are told. */
const limitMs = 30_000;

/** When a server wants to be asked again: `retry-after-ms`, or `Retry-After` in seconds or as a date. */
export function retryAfterMs(headers: IncomingHttpHeaders): number | undefined {
  const [ms, told] = [text(headers['retry-after-ms']), text(headers['retry-after'])];
  const waits = [Number(ms || Number.NaN), 1000 * Number(told || Number.NaN), untilDate(told)];
  const waitMs = waits.find((each) => each >= 0);
  return waitMs === undefined ? undefined : Math.min(limitMs, waitMs);
}

function untilDate(told: string): number {
  // Date.parse reads almost anything.
  return /^[a-z]{3,9},? /i.test(told) ? Date.parse(told) - Date.now() : Number.NaN;
}

function text(value: string | readonly string[] | undefined): string {
  return (typeof value === 'string' ? value : (value?.[0] ?? '')).trim();
}
