import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Document, isAlias, isMap, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { Path } from '../../check.js';
import { messageOf } from '../../errors.js';

/** Keys that only hold anchors for the rest of the file. */
const isAnchorPlace = (key: string) => key.startsWith('x-');

/** The contents of a YAML file. */
export interface YamlFile {
  readonly value: Readonly<Record<string, unknown>>;
  /** The line of a key or an item, or else of what is nearest around it; undefined where nothing is. */
  lineOf(path: Path): number | undefined;
}

const nothing: YamlFile = { value: {}, lineOf: () => undefined };

/** The map in a YAML file; empty, with an issue, where it cannot be read. */
export function readYaml(path: string, issues: string[]): YamlFile {
  const name = basename(path);
  if (!existsSync(path)) {
    issues.push(`${path}: no such file`);
    return nothing;
  }
  const text = textOf(path, issues);
  if (text === undefined) return nothing;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true });
  for (const error of document.errors) {
    const { line, col } = lines.linePos(error.pos[0]);
    issues.push(`${name}:${line}:${col}: ${error.message}`);
  }
  if (document.errors.length > 0) return nothing;
  if (document.contents !== null && !isMap(document.contents)) {
    issues.push(`${name}: expected a map with server, plugins and extensions`);
    return nothing;
  }
  const circles = circularAliases(document).map(
    ({ alias, at }) =>
      `${name}: the alias *${alias} in line ${lines.linePos(at).line} is circular: it stands inside of what it names`,
  );
  issues.push(...circles);
  if (circles.length > 0) return nothing;
  try {
    const value: Record<string, unknown> = document.toJS({ maxAliasCount: 100 }) ?? {};
    return {
      value: Object.fromEntries(Object.entries(value).filter(([key]) => !isAnchorPlace(key))),
      lineOf: (path) => lineOf(document, lines, path),
    };
  } catch (error) {
    issues.push(`${name}: ${messageOf(error).split('\n')[0]}`);
    return nothing;
  }
}

function lineOf(document: Document.Parsed, lines: LineCounter, path: Path): number | undefined {
  let at: unknown = document.contents;
  let line: number | undefined;
  for (const key of path) {
    const found = childOf(document, at, key);
    if (!found) break;
    at = found.value;
    const [start] = (found.key as Node | undefined)?.range ?? [];
    if (start !== undefined) line = lines.linePos(start).line;
  }
  return line;
}

/** The node at a key, which a merge key may bring in, with the node that says where it stands. */
function childOf(
  document: Document.Parsed,
  node: unknown,
  key: string | number,
): { readonly key: unknown; readonly value: unknown } | undefined {
  const at = isAlias(node) ? node.resolve(document) : node;
  if (isSeq(at)) {
    const item = at.items[Number(key)];
    return item === undefined ? undefined : { key: item, value: item };
  }
  if (!isMap(at)) return undefined;
  const pair = at.items.find((each) => String(each.key) === String(key));
  if (pair) return pair;
  const merged = at.items.filter((each) => /^(Symbol\()?<<\)?$/.test(String(each.key)));
  for (const each of merged.flatMap(({ value }) => (isSeq(value) ? value.items : [value]))) {
    const found = childOf(document, each, key);
    if (found) return found;
  }
  return undefined;
}

function textOf(path: string, issues: string[]): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    issues.push(`${path}: cannot be read: ${messageOf(error)}`);
    return undefined;
  }
  // Windows writes UTF-16 with a byte order mark; without one, every other byte of ASCII text is 0.
  if (/^(fffe|feff)/.test(bytes.subarray(0, 2).toString('hex')) || bytes.includes(0)) {
    issues.push(`${basename(path)}: it is UTF-16 or no text at all; save it as UTF-8`);
    return undefined;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    issues.push(`${basename(path)}: it is not UTF-8; save it as that`);
    return undefined;
  }
}

function circularAliases(
  document: Document.Parsed,
): readonly { readonly alias: string; readonly at: number }[] {
  const found: { readonly alias: string; readonly at: number }[] = [];
  visit(document, {
    Alias(_, node) {
      const [at = 0] = node.range ?? [];
      const [from = 0, to = 0] = node.resolve(document)?.range ?? [];
      if (from <= at && at < to) found.push({ alias: node.source, at });
    },
  });
  return found;
}
