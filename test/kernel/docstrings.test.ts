import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const files = ['kernel', 'plugins'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name)),
);
/** The plugin itself and its config say what they are by where they are. */
const plain = /^export (default|type \*|\*|(const|type) (config|Config) )/;

/** Exports without a line that says what they are for. */
function undocumented(text: string): readonly string[] {
  const lines = text.split('\n');
  return lines.filter((line, index) => {
    if (!line.startsWith('export ') || plain.test(line)) return false;
    const before = lines.slice(0, index).findLast((each) => !/^(@|\/\/ biome-ignore)/.test(each));
    return !before?.endsWith('*/');
  });
}

describe('whatever is exported', () => {
  it('is looked for', () => {
    expect(files.length).toBeGreaterThan(100);
    expect(undocumented('/** Says it. */\nexport const a = 1;\nexport const b = 2;')).toEqual([
      'export const b = 2;',
    ]);
  });

  // Names that a door passes on are documented where they are made.
  it.each(files.filter((file) => !/(index|all)\.ts$/.test(file)))('of %s says what it is for', (file) => {
    expect(undocumented(readFileSync(join(root, file), 'utf8'))).toEqual([]);
  });
});
