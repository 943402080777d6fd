import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../../errors.js';

const isModuleSyntax =
  /outside a module|Unexpected token 'export'|await is only valid|Cannot find module 'waggle-server/;

/** Wording of an import error: its message, the file where the stack does not name one, and a remedy. */
export function whyNotImported(cause: unknown, entryPoint: string): string {
  const what = messageOf(cause);
  const stack = cause instanceof Error ? (cause.stack ?? '') : '';
  // The stack of a CommonJS syntax error begins with the place.
  const [, place] = /^(\/.*?):\d+$/m.exec(stack) ?? [];
  const path = place ?? entryPoint;
  const manifest = commonJsManifest(dirname(path));
  if (manifest && isModuleSyntax.test(what)) {
    const renamed = basename(path).replace(/\.c?js$/, '.mjs');
    return `${what.split('\n')[0]} (${path}): it is CommonJS, as ${manifest} says; write "type": "module" there, or call the file ${renamed}`;
  }
  const isNamed = /\/\S+:\d+/.test(what) || /\n\s+at .*:\d+/.test(stack.replace(/\n\s+at .*node:.*/g, ''));
  return isNamed ? what : `${what} (${entryPoint}, or a file that it imports)`;
}

/** The package.json that makes the files of a folder CommonJS. */
function commonJsManifest(folder: string): string | undefined {
  const manifest = join(folder, 'package.json');
  if (existsSync(manifest))
    return JSON.parse(readFileSync(manifest, 'utf8')).type === 'module' ? undefined : manifest;
  return folder === dirname(folder) ? undefined : commonJsManifest(dirname(folder));
}
