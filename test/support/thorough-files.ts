import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The test files of these folders that do less in `npm test`: they, or a suite that they import, ask `thorough.ts`. */
export function thoroughFiles(root: string, folders: readonly string[]): readonly string[] {
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  );
  const importers = new Map<string, string[]>();
  for (const file of files)
    for (const [, path = ''] of readFileSync(join(root, file), 'utf8').matchAll(/ from '(\.[^']+)\.js'/g)) {
      const imported = join(dirname(file), `${path}.ts`);
      importers.set(imported, [...(importers.get(imported) ?? []), file]);
    }
  const found = new Set(['test/support/thorough.ts']);
  for (const file of found) for (const importer of importers.get(file) ?? []) found.add(importer);
  return [...found].filter((file) => file.endsWith('.test.ts')).sort();
}
