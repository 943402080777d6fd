import type { TokenUnits } from './token-units.js';

/** Before anything is known of a model. */
const bytesPerToken = 4;
const firstPerMessage = 5;
const firstPerRequest = 10;
const firstPerImage = 800;

/** How far the first guesses may be off, as standard deviations. */
const spread = [1, 4, 60] as const;
/** Relative error of a count that remains however much is known. */
const noise = 0.03;
/** The part of the first variance that comes back with each count: the texts of a model's users change. */
const drift = 0.002;

/** By how much an estimate may be wrong at first, and at most after that. */
const firstMargin = 0.6;
const marginLimit = 0.3;
const leastMargin = 0.05;

/**
 * Estimates tokens of one model: so many for a byte, a message and a request. Learned from the counts that its server tells, by
 * recursive least squares on relative errors, so that short requests teach the fixed part and long ones the rest.
 */
export class TokenRate {
  #byte = 1;
  #message = firstPerMessage;
  #request = firstPerRequest;
  #image = firstPerImage;
  // The covariance of the three, symmetric.
  #c00: number = spread[0] ** 2;
  #c01 = 0;
  #c02 = 0;
  #c11: number = spread[1] ** 2;
  #c12 = 0;
  #c22: number = spread[2] ** 2;
  #error = 0.1;
  #longestAnswer = 0;
  /** Counts so far. */
  samples = 0;

  estimate(units: TokenUnits): number {
    return this.#text(units) + units.images * this.#image;
  }

  /** The tokens of a part of a request. */
  partOf({ bytes, messages, images }: TokenUnits): number {
    return (bytes / bytesPerToken) * this.#byte + messages * this.#message + images * this.#image;
  }

  /** By how much more than estimated it may be, as a share of the estimate. */
  get margin(): number {
    if (this.samples === 0) return firstMargin;
    return Math.max(leastMargin, Math.min(marginLimit, (3 + 2 / this.samples) * this.#error));
  }

  /** The longest answer of late, in tokens. */
  get longestAnswer(): number {
    return this.#longestAnswer;
  }

  answered(outputTokens: number): void {
    this.#longestAnswer = Math.max(outputTokens, this.#longestAnswer * 0.95);
  }

  /** A request had so many tokens. */
  learn(units: TokenUnits, tokens: number): void {
    const estimate = this.estimate(units);
    const error = Math.min(1, Math.abs(tokens - estimate) / tokens);
    if (this.samples > 0) this.#error = this.#error * 0.8 + error * 0.2;
    this.samples++;
    if (units.images > 0) {
      const each = (tokens - this.#text(units)) / units.images;
      this.#image = Math.max(0, this.#image + (each - this.#image) / 2);
      return;
    }
    this.#correct(units.bytes / bytesPerToken / tokens, units.messages / tokens, 1 / tokens);
  }

  #text({ bytes, messages }: TokenUnits): number {
    return (bytes / bytesPerToken) * this.#byte + messages * this.#message + this.#request;
  }

  /** One step of the filter: the three features, as shares of the count, should add up to 1. */
  #correct(x: number, y: number, z: number): void {
    const a = this.#c00 * x + this.#c01 * y + this.#c02 * z;
    const b = this.#c01 * x + this.#c11 * y + this.#c12 * z;
    const c = this.#c02 * x + this.#c12 * y + this.#c22 * z;
    const scale = noise ** 2 + a * x + b * y + c * z;
    const off = 1 - (x * this.#byte + y * this.#message + z * this.#request);
    this.#byte = within(0.1, 8, this.#byte + (a / scale) * off);
    this.#message = within(0, 60, this.#message + (b / scale) * off);
    this.#request = within(0, 2000, this.#request + (c / scale) * off);
    const f = this.#widened(this.#c00 - (a * a) / scale, spread[0]);
    const g = this.#widened(this.#c11 - (b * b) / scale, spread[1]);
    const h = this.#widened(this.#c22 - (c * c) / scale, spread[2]);
    this.#c00 = f;
    this.#c11 = g;
    this.#c22 = h;
    this.#c01 = related(this.#c01 - (a * b) / scale, f, g);
    this.#c02 = related(this.#c02 - (a * c) / scale, f, h);
    this.#c12 = related(this.#c12 - (b * c) / scale, g, h);
  }

  /** A variance that has grown a little, because texts change, up to the first one. */
  #widened(variance: number, first: number): number {
    return within(1e-9, first ** 2, variance + drift * first ** 2);
  }
}

function within(least: number, most: number, value: number): number {
  return Math.max(least, Math.min(most, value));
}

/** A covariance that its two variances allow. */
function related(value: number, one: number, other: number): number {
  const limit = 0.99 * Math.sqrt(one * other);
  return within(-limit, limit, value);
}
