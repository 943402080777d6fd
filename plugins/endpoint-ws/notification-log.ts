/** A notification as it is sent. */
export interface Notification {
  readonly seq: number;
  readonly json: string;
  /** By `performance.now()`. */
  readonly atMs: number;
}

/** From the first to the last number. */
export interface SeqRange {
  readonly from: number;
  readonly to: number;
}

export interface LogLimits {
  readonly maxNotifications: number;
  readonly limitChars: number;
  readonly keepMs: number;
}

/** The config, which may change. */
export interface LogConfig {
  readonly inbox: LogLimits;
}

const maxLost = 100;

/** The latest notifications of one user, or of all users together. */
export class NotificationLog {
  readonly #config: LogConfig;
  #kept: Notification[] = [];
  #chars = 0;
  /** Those that are no longer kept: the latest by number, the others as one range. */
  #lost: number[] = [];
  #lostBefore: SeqRange | undefined;

  /** `lost`: those that were forgotten before. */
  constructor(config: LogConfig, lost?: SeqRange) {
    this.#config = config;
    this.#lostBefore = lost;
  }

  /** Oldest first. */
  get kept(): readonly Notification[] {
    return this.#kept;
  }

  /** The first and the last of those between two numbers that are no longer kept. */
  lostWithin(from: number, to: number): SeqRange | undefined {
    const numbers = this.#lost.filter((seq) => from <= seq && seq <= to);
    const latest =
      numbers.length > 0 ? { from: numbers[0] as number, to: numbers.at(-1) as number } : undefined;
    return hullOf([overlapOf(this.#lostBefore, from, to), latest]);
  }

  get chars(): number {
    return this.#chars;
  }

  add(notification: Notification): void {
    this.#kept.push(notification);
    this.#chars += notification.json.length;
    this.expire(notification.atMs);
  }

  /** Drops what is over a limit. */
  expire(nowMs: number): void {
    const { maxNotifications, limitChars, keepMs } = this.#config.inbox;
    let chars = this.#chars;
    let left = this.#kept.length;
    const count = this.#kept.findIndex(({ json, atMs }) => {
      if (left <= maxNotifications && chars <= limitChars && nowMs - atMs < keepMs) return true;
      left--;
      chars -= json.length;
      return false;
    });
    this.#drop(count < 0 ? this.#kept.length : count);
  }

  clear(): void {
    this.#drop(this.#kept.length);
  }

  #drop(count: number): void {
    for (const { seq, json } of this.#kept.splice(0, count)) {
      this.#chars -= json.length;
      this.#lost.push(seq);
    }
    const [first, ...others] = this.#lost.splice(0, this.#lost.length - maxLost);
    if (first !== undefined)
      this.#lostBefore = hullOf([this.#lostBefore, { from: first, to: others.at(-1) ?? first }]);
  }
}

export function overlapOf(range: SeqRange | undefined, from: number, to: number): SeqRange | undefined {
  if (!range || range.from > to || range.to < from) return undefined;
  return { from: Math.max(range.from, from), to: Math.min(range.to, to) };
}

export function hullOf(ranges: readonly (SeqRange | undefined)[]): SeqRange | undefined {
  return ranges.reduce((hull, range) => {
    if (!hull || !range) return hull ?? range;
    return { from: Math.min(hull.from, range.from), to: Math.max(hull.to, range.to) };
  }, undefined);
}
