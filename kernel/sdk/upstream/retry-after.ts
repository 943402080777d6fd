import type { IncomingHttpHeaders } from 'node:http';

/** Upper bound, because clients wait as long as they are told. */
const limitMs = 30_000;

/** The wait that a server asks for: `retry-after-ms`, or `Retry-After` in seconds or as a date. */
export function retryAfterMs(headers: IncomingHttpHeaders): number | undefined {
  const [ms, value] = [text(headers['retry-after-ms']), text(headers['retry-after'])];
  const waits = [Number(ms || Number.NaN), 1000 * Number(value || Number.NaN), untilDate(value)];
  const waitMs = waits.find((each) => each >= 0);
  return waitMs === undefined ? undefined : Math.min(limitMs, waitMs);
}

function untilDate(value: string): number {
  // Date.parse accepts almost anything.
  return /^[a-z]{3,9},? /i.test(value) ? Date.parse(value) - Date.now() : Number.NaN;
}

function text(value: string | readonly string[] | undefined): string {
  return (typeof value === 'string' ? value : (value?.[0] ?? '')).trim();
}
