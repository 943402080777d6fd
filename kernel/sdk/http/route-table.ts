import type { Undo } from '../../contracts/effect.js';
import { WaggleError } from '../../errors.js';

/** The values of a path by method, and the named parts of the path. */
export interface Match<T> {
  readonly values: ReadonlyMap<string, T>;
  readonly params: Readonly<Record<string, string>>;
}

interface Entry<T> {
  readonly segments: readonly string[];
  /** The segments with every name left out: two patterns of the same shape match the same paths. */
  readonly shape: string;
  readonly names: readonly string[];
  readonly values: Map<string, T>;
}

/** Values by method and path pattern. Fixed segments win over named ones, from the left; a name with a star comes last of all. */
export class RouteTable<T> {
  readonly #fixed = new Map<string, Entry<T>>();
  #named: readonly Entry<T>[] = [];

  /** @throws ROUTE_INVALID, ROUTE_CONFLICT */
  add(method: string, pattern: string, value: T): Undo {
    const parsed = parse<T>(pattern);
    const entry = this.#find(parsed.shape) ?? this.#keep(parsed);
    if (entry.values.has(method)) throw new WaggleError('ROUTE_CONFLICT', { method, path: pattern });
    if (entry.names.join() !== parsed.names.join())
      throw new WaggleError('ROUTE_INVALID', {
        path: pattern,
        why: `its names differ from those of another method (${entry.names.join(', ')})`,
      });
    entry.values.set(method, value);
    return () => {
      if (entry.values.get(method) !== value) return;
      entry.values.delete(method);
      if (entry.values.size === 0) this.#drop(entry);
    };
  }

  /** In no particular order. */
  get values(): readonly T[] {
    return [...this.#fixed.values(), ...this.#named].flatMap((entry) => [...entry.values.values()]);
  }

  match(path: string): Match<T> | undefined {
    const fixed = this.#fixed.get(path);
    if (fixed) return { values: fixed.values, params: {} };
    if (this.#named.length === 0) return undefined;
    const segments = segmentsOf(path);
    for (const entry of this.#named) {
      if (!fits(entry.segments, segments)) continue;
      const params = paramsOf(entry, segments);
      return params && { values: entry.values, params };
    }
    return undefined;
  }

  #find(shape: string): Entry<T> | undefined {
    return this.#fixed.get(shape) ?? this.#named.find((entry) => entry.shape === shape);
  }

  #keep(entry: Entry<T>): Entry<T> {
    if (entry.names.length === 0) this.#fixed.set(entry.shape, entry);
    else this.#named = [...this.#named, entry].sort(bySpecificity);
    return entry;
  }

  #drop(entry: Entry<T>): void {
    if (this.#fixed.get(entry.shape) === entry) this.#fixed.delete(entry.shape);
    this.#named = this.#named.filter((other) => other !== entry);
  }
}

// A transport looks into one table after the other with the same path.
let latestPath = '';
let latestSegments: readonly string[] = [''];

function segmentsOf(path: string): readonly string[] {
  if (path !== latestPath) {
    latestPath = path;
    latestSegments = path.split('/');
  }
  return latestSegments;
}

function parse<T>(path: string): Entry<T> {
  const segments = path.split('/');
  const names = segments.filter(isNamed).map(nameOf);
  const shape = segments
    .map((segment) => (isRest(segment) ? '{}*' : isNamed(segment) ? '{}' : segment))
    .join('/');
  const why = whyInvalid(path, segments, names);
  if (why) throw new WaggleError('ROUTE_INVALID', { path, why });
  return { segments, names, shape, values: new Map() };
}

function whyInvalid(path: string, segments: readonly string[], names: readonly string[]): string | undefined {
  if (!path.startsWith('/')) return 'it must begin with "/"';
  if (path.includes('//')) return 'it has an empty segment';
  if (segments.some((segment) => /[{}]/.test(segment) && !/^\{[a-z]\w*\*?\}$/i.test(segment)))
    return 'a name in braces must be a whole segment of letters, digits and "_"';
  if (segments.slice(0, -1).some(isRest)) return 'only the last name may stand for all that is left';
  if (new Set(names).size < names.length) return 'it has a name twice';
  return undefined;
}

function bySpecificity<T>({ segments: a }: Entry<T>, { segments: b }: Entry<T>): number {
  const rests = Number(isRest(a.at(-1) ?? '')) - Number(isRest(b.at(-1) ?? ''));
  if (rests !== 0) return rests;
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const difference = vagueness(a[at] as string) - vagueness(b[at] as string);
    if (difference !== 0) return difference;
  }
  return 0;
}

function vagueness(segment: string): number {
  return isRest(segment) ? 2 : isNamed(segment) ? 1 : 0;
}

function isNamed(segment: string): boolean {
  return segment.startsWith('{');
}

function isRest(segment: string): boolean {
  return segment.endsWith('*}');
}

function nameOf(segment: string): string {
  return segment.slice(1, isRest(segment) ? -2 : -1);
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  const isOpen = isRest(pattern[pattern.length - 1] as string);
  if (isOpen ? segments.length < pattern.length : segments.length !== pattern.length) return false;
  for (let at = 0; at < segments.length; at++) {
    const part = pattern[at];
    if (part === undefined || isNamed(part) ? segments[at] === '' : part !== segments[at]) return false;
  }
  return true;
}

/** Not in the value of a name, whatever it stands for; and in that of a whole segment. */
const refusedInRest = /[\\\p{Cc}]/u;
const refusedInSegment = /[/\\\p{Cc}]/u;

function paramsOf<T>(entry: Entry<T>, segments: readonly string[]): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  for (let at = 0; at < entry.segments.length; at++) {
    const part = entry.segments[at] as string;
    if (!isNamed(part)) continue;
    const value = isRest(part)
      ? decode(segments.slice(at).join('/'), refusedInRest)
      : decode(segments[at] as string, refusedInSegment);
    if (value === undefined) return undefined;
    params[nameOf(part)] = value;
  }
  return params;
}

/** Decodes once; text that is still encoded then is data. */
function decode(text: string, refused: RegExp): string | undefined {
  try {
    const value = decodeURIComponent(text);
    return refused.test(value) ? undefined : value;
  } catch {
    return undefined;
  }
}
