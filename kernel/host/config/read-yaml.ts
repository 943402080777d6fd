import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Document, isMap, LineCounter, parseDocument, visit } from 'yaml';
import { messageOf } from '../../errors.js';

/** Keys that only hold anchors for the rest of the file. */
const isAnchorPlace = (key: string) => key.startsWith('x-');

/** The map in a YAML file; empty, with an issue, where it cannot be read. */
export function readYaml(path: string, issues: string[]): Readonly<Record<string, unknown>> {
  const name = basename(path);
  if (!existsSync(path)) {
    issues.push(`${path}: no such file`);
    return {};
  }
  const text = textOf(path, issues);
  if (text === undefined) return {};
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true });
  for (const error of document.errors) {
    const { line, col } = lines.linePos(error.pos[0]);
    issues.push(`${name}:${line}:${col}: ${error.message}`);
  }
  if (document.errors.length > 0) return {};
  if (document.contents !== null && !isMap(document.contents)) {
    issues.push(`${name}: expected a map with server, plugins and extensions`);
    return {};
  }
  const circles = circularAliases(document).map(
    ({ alias, at }) =>
      `${name}: the alias *${alias} in line ${lines.linePos(at).line} is circular: it stands inside of what it names`,
  );
  issues.push(...circles);
  if (circles.length > 0) return {};
  try {
    const value: Record<string, unknown> = document.toJS({ maxAliasCount: 100 }) ?? {};
    return Object.fromEntries(Object.entries(value).filter(([key]) => !isAnchorPlace(key)));
  } catch (error) {
    issues.push(`${name}: ${messageOf(error).split('\n')[0]}`);
    return {};
  }
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
