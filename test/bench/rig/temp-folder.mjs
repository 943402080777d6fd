import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder;

/** Writes a file for the servers of this bench, which goes when the bench ends, and gives its path. */
export function writeTemporary(name, content) {
  if (!folder) {
    folder = mkdtempSync(join(tmpdir(), 'waggle-bench-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  }
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(content, null, 2));
  return file;
}
