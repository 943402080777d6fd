import { setImmediate, setTimeout } from 'node:timers/promises';

const unitMs = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  ['µs', 1e-3],
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** Wall clock in milliseconds with a fraction. */
export function wallClockMs(): number {
  return performance.timeOrigin + performance.now();
}

/** A time as Go writes it: RFC 3339, the fraction's trailing zeros cut, `Z` or a whole-hour offset. */
export function rfc3339(atMs: number, offsetHours = 0): string {
  const shiftedMs = atMs + offsetHours * 3_600_000;
  const seconds = Math.floor(shiftedMs / 1_000);
  const micros = Math.floor((shiftedMs - seconds * 1_000) * 1_000);
  const fraction = String(micros).padStart(6, '0').replace(/0+$/, '');
  const day = new Date(seconds * 1_000).toISOString().slice(0, 19);
  const zone = offsetHours === 0 ? 'Z' : `+${String(offsetHours).padStart(2, '0')}:00`;
  return `${day}${fraction === '' ? '' : `.${fraction}`}${zone}`;
}

/** Milliseconds of a Go duration such as `1h30m`; throws with Go's own text. */
export function goDurationMs(text: string): number {
  const [, sign, digits = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (digits === '0') return 0;
  if (!/^[\d.]/.test(digits)) throw new Error(`time: invalid duration ${JSON.stringify(text)}`);
  let totalMs = 0;
  for (const [part, amount = '', unit = ''] of digits.matchAll(/([\d.]+)([^\d.]*)/g)) {
    if (unit === '') throw new Error(`time: missing unit in duration ${JSON.stringify(text)}`);
    const factor = unitMs.get(unit);
    if (factor === undefined) {
      throw new Error(`time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`);
    }
    if (Number.isNaN(Number(amount))) throw new Error(`time: invalid duration ${JSON.stringify(part)}`);
    totalMs += Number(amount) * factor;
  }
  return sign === '-' ? -totalMs : totalMs;
}

/** Waits; zero still gives the event loop a turn, so an endless stream cannot starve it. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await (ms > 0 ? setTimeout(ms, undefined, { signal }) : setImmediate(undefined, { signal }));
}
