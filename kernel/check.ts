import type { StandardSchemaV1 } from '@standard-schema/spec';
import { messageOf } from './errors.js';
import { fits, isMap, jsonSchemaOf, type Node, nodeAt, waysOf } from './json-schema.js';
import { nearest } from './nearest.js';

/** The source of a value, for the wording of its issues. Paths are relative to the value that is checked. */
export interface Origin {
  /** The text before the path: `default.yaml: transport-uws.` */
  prefix(path: Path): string;
  /** The environment variable that a value was taken from. Such values are never printed. */
  variable(path: Path): string | undefined;
  /** The value that the schema gets; without a schema, the plugin itself. */
  convert?(value: unknown, root?: Node): unknown;
  /** True where that variable is not set, which was reported already. */
  unset?(path: Path): boolean;
  /** Present where a client sent the value: its issues are worded briefly and without suggestions. */
  readonly limits?: IssueLimits;
}

/** Bounds on the work that the issues of one value may cause. */
export interface IssueLimits {
  readonly issues: number;
  readonly messageChars: number;
  /** In the place of `validate`. */
  validate<T>(schema: Schema<T>, value: unknown, root: Node | undefined): Soon<StandardSchemaV1.Result<T>>;
}

/** Any Standard Schema. */
export type Schema<T = unknown> = StandardSchemaV1<unknown, T>;
/** A result that may be there already. */
export type Soon<T> = T | Promise<T>;
/** Keys of maps and places in lists. */
export type Path = readonly (string | number)[];
/** The value with its defaults, or everything that is wrong with it. */
export type Checked<T> =
  | { readonly value: T; readonly issues?: undefined; readonly mistakes?: undefined }
  | {
      readonly value?: undefined;
      readonly issues: readonly string[];
      /** @deprecated The same as `issues`. */
      readonly mistakes: readonly string[];
    };

/** The origin of values that were made in code. */
export const nowhere: Origin = { prefix: () => '', variable: () => undefined };
const longestKey = 100;

/** Checks `input` and words every issue as `path: expected X, got Y`; synchronous where the schema is. */
export function checkNow<T>(schema: Schema<T>, input: unknown, origin: Origin = nowhere): Soon<Checked<T>> {
  const root = jsonSchemaOf(schema) as Node | undefined;
  const value = root && origin.convert ? origin.convert(input, root) : input;
  const judge = (result: StandardSchemaV1.Result<T>): Checked<T> => {
    if (!result.issues) return { value: result.value };
    const most = origin.limits?.issues ?? Number.POSITIVE_INFINITY;
    const found = new Set<string>();
    for (const issue of result.issues.flatMap(told)) {
      for (const each of issuesAt(pathOf(issue), root, value, issue.message, origin)) found.add(each);
      if (found.size >= most) break;
    }
    const issues = [...found].slice(0, most);
    return { issues, mistakes: issues };
  };
  const validated = origin.limits ? origin.limits.validate(schema, value, root) : validate(schema, value);
  return after(validated, judge);
}

/** An issue as zod has it: of a union, with those of each of its ways. */
interface UnionIssue extends StandardSchemaV1.Issue {
  readonly code?: string;
  readonly errors?: readonly (readonly UnionIssue[])[];
}

/** Of a union whose one way has the right type, the issues are those of that way. */
function told(issue: UnionIssue): readonly StandardSchemaV1.Issue[] {
  const isOfType = ({ path = [], code = '' }: UnionIssue) =>
    path.length > 0 || !/^(invalid_type|invalid_value|invalid_union)$/.test(code);
  const way = issue.errors?.find((issues) => issues.length > 0 && issues.every(isOfType));
  if (!way) return [issue];
  return way.flatMap((each) => told({ ...each, path: [...(issue.path ?? []), ...(each.path ?? [])] }));
}

/** `then` with the value, at once where that is there. */
export function after<A, B>(first: Soon<A>, then: (value: A) => Soon<B>): Soon<B> {
  return first instanceof Promise ? first.then(then) : then(first);
}

/** The result of a schema. A rule that throws has found an issue, too. */
export function validate<T>(schema: Schema<T>, value: unknown): Soon<StandardSchemaV1.Result<T>> {
  const thrown = (error: unknown) => ({ issues: [{ message: messageOf(error) }] });
  try {
    const result = schema['~standard'].validate(value);
    return result instanceof Promise ? result.catch(thrown) : result;
  } catch (error) {
    return thrown(error);
  }
}

/** The keys and places that lead to an issue. */
export function pathOf(issue: StandardSchemaV1.Issue): Path {
  const keys = (issue.path ?? []).map((part) => (typeof part === 'object' ? part.key : part));
  return keys.map((key) => (typeof key === 'symbol' ? String(key) : key));
}

/** The value at `path`, if there is one. */
export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], value);
}

function issuesAt(
  path: Path,
  root: Node | undefined,
  input: unknown,
  message: string,
  origin: Origin,
): string[] {
  if (origin.unset?.(path)) return [];
  const node = root && nodeAt(root, path);
  const value = valueAt(input, path);
  const at = (where: Path) => {
    const text = `${origin.prefix(where)}${where.map((key) => cut(key, longestKey)).join('.')}`;
    return text.endsWith('.') ? text.slice(0, -1) : text;
  };
  const say = (where: Path, what: string) =>
    [origin.variable(where), at(where), what].filter(Boolean).join(': ');

  if (node?.properties && isMap(value) && node.additionalProperties === false) {
    const known = Object.keys(node.properties);
    const unknown = Object.keys(value).filter((key) => !known.includes(key));
    if (unknown.length > 0)
      return unknown.slice(0, origin.limits?.issues).map((key) => {
        const meant = origin.limits ? undefined : nearest(key, known);
        return say(
          [...path, key],
          `unknown key${meant ? `, did you mean "${meant}"?` : ` (known: ${known.join(', ')})`}`,
        );
      });
  }
  // What fits the described type was refused by a rule of its own, whose message says more than the type does.
  if (!node || fits(node, value))
    return [say(path, cut(plainly(message), origin.limits?.messageChars ?? Number.POSITIVE_INFINITY))];
  return [say(path, `expected ${expectation(node)}, got ${sight(value, path, origin)}`)];
}

/** A message of zod in our words, for rules of which nothing else is known. */
function plainly(message: string): string {
  if (message === 'Invalid input') return 'expected another value';
  return message
    .replace(/^Invalid input: expected (.+), received (.+)$/, 'expected $1, got $2')
    .replace(/^Too (?:big|small): expected array to have (.+)$/, 'expected list of $1');
}

const typeWords = new Map(Object.entries({ boolean: 'true or false', array: 'list', object: 'map' }));

function expectation(node: Node): string {
  const ways = waysOf(node);
  if (ways) return [...new Set(ways.flatMap(expectations))].join(' or ');
  if ('const' in node) return JSON.stringify(node.const);
  if (node.enum) return `one of ${node.enum.map((each) => JSON.stringify(each)).join(', ')}`;
  const { minimum, maximum, minLength, maxLength } = node;
  if (node.type === 'integer' || node.type === 'number')
    return node.type + range(safe(minimum), safe(maximum), '');
  if (node.type === 'string') return node.type + range(minLength, maxLength, ' characters');
  return typeWords.get(String(node.type)) ?? String(node.type ?? 'another value');
}

function expectations(node: Node): readonly string[] {
  return waysOf(node)?.flatMap(expectations) ?? [expectation(node)];
}

function range(from: number | undefined, to: number | undefined, unit: string): string {
  if (from !== undefined && to !== undefined) return ` ${from}-${to}${unit}`;
  if (from !== undefined) return ` >= ${from}${unit}`;
  return to === undefined ? '' : ` <= ${to}${unit}`;
}

// Hides the implicit bounds of `z.int()`.
function safe(limit: number | undefined): number | undefined {
  return limit !== undefined && Math.abs(limit) < Number.MAX_SAFE_INTEGER ? limit : undefined;
}

function sight(value: unknown, path: Path, origin: Origin): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'list';
  if (typeof value === 'object') return 'map';
  const variable = origin.variable(path);
  if (variable) return `${typeof value} from \${${variable}}`;
  if (/password|secret|token|key|authorization|cookie/i.test(path.join('.'))) return typeof value;
  const shown = typeof value === 'string' ? value.slice(0, 60) : value;
  return `${typeof value} ${JSON.stringify(shown).slice(0, 60)}`;
}

function cut(text: string | number, length: number): string {
  const whole = String(text);
  return whole.length > length ? `${whole.slice(0, length)}…` : whole;
}
