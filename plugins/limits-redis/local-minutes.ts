import type { Taken } from '#sdk/limits';

const minuteMs = 60_000;
const maxKeys = 10_000;

/** Counts requests of this server alone, while Redis is away. */
export class LocalMinutes {
  readonly #minutes = new Map<string, { readonly endsAt: number; count: number }>();

  take(key: string, limit: number): Taken {
    const now = performance.now();
    let minute = this.#minutes.get(key);
    if (!minute || minute.endsAt <= now) {
      minute = { endsAt: now + minuteMs, count: 0 };
      this.#minutes.delete(key);
      this.#minutes.set(key, minute);
      for (const [oldest, { endsAt }] of this.#minutes) {
        if (endsAt > now && this.#minutes.size <= maxKeys) break;
        this.#minutes.delete(oldest);
      }
    }
    const isTaken = minute.count < limit;
    if (isTaken) minute.count++;
    return { isTaken, left: Math.max(0, limit - minute.count), resetMs: Math.ceil(minute.endsAt - now) };
  }
}
