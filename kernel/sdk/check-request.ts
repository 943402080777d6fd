import type { StandardSchemaV1 } from '@standard-schema/spec';
import {
  after,
  type Checked,
  checkNow,
  nowhere,
  type Origin,
  pathOf,
  type Schema,
  type Soon,
  validate,
  valueAt,
} from '../check.js';
import { childOf, fits, isMap, type Node, nodeAt, waysOf } from '../json-schema.js';

/** The result of `check`. */
export type { Checked } from '../check.js';
/** For requests, with `fromClient`. */
export { checkNow } from '../check.js';

/** As `checkNow`, and always a promise. */
export async function check<T>(schema: Schema<T>, input: unknown, origin?: Origin): Promise<Checked<T>> {
  return checkNow(schema, input, origin);
}

const mostIssues = 10;

/** The origin of requests, for `check`: the first ten issues are worded, briefly and without suggestions. */
export const fromClient: Origin = {
  ...nowhere,
  limits: { issues: mostIssues, messageChars: 300, validate: validateSample },
};

/** Looks for issues in a part of the value first, which bounds the time that one bad request takes. */
function validateSample<T>(
  schema: Schema<T>,
  value: unknown,
  root: Node | undefined,
): Soon<StandardSchemaV1.Result<T>> {
  const sample = root && !isSmall(value) ? cutShort(root, value, mostIssues) : value;
  if (!root || sample === value) return validate(schema, value);
  return after(validate(schema, sample), ({ issues = [] }) => {
    const certain = issues.filter((issue) => {
      const path = pathOf(issue);
      return holdsForAll(root, path, valueAt(sample, path), valueAt(value, path));
    });
    return certain.length > 0 ? { issues: certain } : validate(schema, value);
  });
}

/**
 * `value` with its lists and maps cut after the first `limit` misfits, and where they are too long: a schema validates
 * everything and words every issue, of which one request can hold half a million. The same value where nothing is cut.
 */
function cutShort(node: Node, value: unknown, limit: number): unknown {
  return new Cut(limit).of(node, value);
}

/** Values that a schema may validate as they are: the time for so many issues is no harm. */
const smallValues = 100;

/** Whether `value` holds few values, counted without a copy. */
function isSmall(value: unknown): boolean {
  return leftAfter(value, smallValues) > 0;
}

function leftAfter(value: unknown, most: number): number {
  let left = most - 1;
  if (typeof value !== 'object' || value === null) return left;
  if (Array.isArray(value))
    for (let at = 0; left > 0 && at < value.length; at++) left = leftAfter(value[at], left);
  else
    for (const key in value) {
      if (left <= 0) break;
      left = leftAfter((value as Record<string, unknown>)[key], left);
    }
  return left;
}

/** Whether an issue at `path` of the sample is one of the whole as well. */
function holdsForAll(
  root: Node,
  path: readonly (string | number)[],
  inSample: unknown,
  inWhole: unknown,
): boolean {
  if (inSample === inWhole) return true;
  // It was cut away.
  if (inSample === undefined) return false;
  const node = nodeAt(root, path);
  // Of several types none fits an item, or the list is still too long, or a key has no place in the map.
  return node !== undefined && (waysOf(node) !== undefined || !mayBe(node, inSample));
}

class Cut {
  readonly #limit: number;
  /** Misfits to go. */
  #left: number;

  constructor(limit: number) {
    this.#limit = limit;
    this.#left = limit;
  }

  of(node: Node, value: unknown): unknown {
    const ways = leavesOf(node).filter((each) => fits(each, value));
    const likely = ways.filter((each) => mayBe(each, value));
    if (likely.length === 0) this.#left--;
    return this.#best(likely.length === 0 ? ways : likely, value);
  }

  /** The value cut by the way with the fewest misfits: those of the others do not count. */
  #best(ways: readonly Node[], value: unknown): unknown {
    const before = this.#left;
    let best: { readonly cut: unknown; readonly left: number } | undefined;
    for (const way of ways) {
      this.#left = before;
      const cut = this.#below(way, value);
      if (!best || this.#left > best.left) best = { cut, left: this.#left };
    }
    this.#left = best?.left ?? before;
    return best ? best.cut : value;
  }

  #below(node: Node, value: unknown): unknown {
    if (Array.isArray(value)) return this.#list(node, value);
    const hasKeys = node.properties ?? typeof node.additionalProperties === 'object';
    return hasKeys && isMap(value) ? this.#map(node, value) : value;
  }

  #list({ items = {}, maxItems = Number.POSITIVE_INFINITY }: Node, list: readonly unknown[]): unknown {
    // Only its length is reported.
    if (list.length > maxItems) return list.slice(0, maxItems + 1);
    let last: unknown;
    let count = 0;
    while (count < list.length && this.#left > 0) last = this.of(items, list[count++]);
    const isWhole = count === list.length && (count === 0 || last === list[count - 1]);
    if (isWhole) return list;
    return count === 0 ? [] : [...list.slice(0, count - 1), last];
  }

  #map(node: Node, map: Readonly<Record<string, unknown>>): unknown {
    const kept: [string, unknown][] = [];
    let isWhole = true;
    let unnamed = 0;
    for (const key of Object.keys(map)) {
      const isNamed = node.properties !== undefined && Object.hasOwn(node.properties, key);
      const isStrange = !isNamed && node.additionalProperties === false;
      // Without a key that is named, the next complaint would be that it is missing.
      if (!isNamed && (this.#left <= 0 || (isStrange && unnamed++ >= this.#limit))) isWhole = false;
      else {
        const child = childOf(node, key);
        const cut = child ? this.of(child, map[key]) : map[key];
        if (cut !== map[key]) isWhole = false;
        kept.push([key, cut]);
      }
    }
    return isWhole ? map : Object.fromEntries(kept);
  }
}

function leavesOf(node: Node): readonly Node[] {
  return waysOf(node)?.flatMap(leavesOf) ?? [node];
}

/** Whether a list is short enough, or a map has the required keys and constants and no unknown keys. */
function mayBe(node: Node, value: unknown): boolean {
  const { properties = {}, required = [], additionalProperties, maxItems } = node;
  if (Array.isArray(value)) return value.length <= (maxItems ?? value.length);
  if (!isMap(value)) return true;
  if (additionalProperties === false)
    for (const key of Object.keys(value)) if (!Object.hasOwn(properties, key)) return false;
  return required.every((key) => {
    const { const: constant, enum: listed } = properties[key] ?? {};
    if (!Object.hasOwn(value, key)) return false;
    return (constant === undefined || constant === value[key]) && (listed?.includes(value[key]) ?? true);
  });
}
