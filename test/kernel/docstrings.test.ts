import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const doors = [
  'kernel/index.ts',
  'kernel/sdk/index.ts',
  'kernel/sdk/dialect/index.ts',
  'kernel/sdk/http/index.ts',
  'kernel/sdk/redis/index.ts',
  'kernel/sdk/limits/index.ts',
  'kernel/sdk/streams/index.ts',
  'kernel/sdk/tasks/index.ts',
  'kernel/sdk/upstream/index.ts',
  'plugins/endpoint-ws/client/index.ts',
];
const folders = ['kernel', 'plugins'].flatMap((top) => [
  top,
  ...readdirSync(join(root, top), { recursive: true, withFileTypes: true })
    .filter((each) => each.isDirectory())
    .map((each) => relative(root, join(each.parentPath, each.name))),
]);
/** Files of the path of each token, which are edited for their speed only. */
const tokenPath =
  /(reply-log|log-entry|joined-content|delivery|body-pump|connection|body-pieces|ndjson)\.ts$/;

const read = (file: string) => readFileSync(join(root, file), 'utf8');

interface Export {
  readonly file: string;
  readonly name: string;
  readonly isDocumented: boolean;
}

/** The exports that a file declares itself. */
function declared(file: string, text = read(file)): readonly Export[] {
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    const name =
      /^export (?:declare |abstract |async )*(?:const|let|function\*?|class|interface|type) (\w+)/.exec(
        line,
      )?.[1];
    if (!name) return [];
    const before = lines.slice(0, index).findLast((each) => !/^(@|\/\/ biome-ignore)/.test(each));
    return [{ file, name, isDocumented: before?.endsWith('*/') ?? false }];
  });
}

/** The exports that a door passes on, declared wherever they are. */
function passedOn(door: string): readonly Export[] {
  const from = /^export (?:type )?(?:\*|\{([^}]*)\}) from '(\.[^']+)\.js';/gm;
  return [...read(door).matchAll(from)].flatMap(([, names, path]) => {
    const file = join(dirname(door), `${path}.ts`);
    const all = [...declared(file), ...passedOn(file)];
    const wanted = names?.split(',').map(
      (each) =>
        each
          .trim()
          .replace(/^type /, '')
          .split(' as ')[0],
    );
    return wanted ? all.filter(({ name }) => wanted.includes(name)) : all;
  });
}

/** Doc comments that a native speaker stumbles over. */
function clumsy(text: string): readonly string[] {
  return [...text.matchAll(/\/\*\*([\s\S]*?)\*\//g)]
    .map(([, comment = '']) => comment.replace(/\s*\n\s*\*\s?/g, ' ').trim())
    .filter((comment) => /^(What|Whoever|Who|Where an?)\b|\b(nobody|whoever|anew|she)\b/i.test(comment));
}

describe('names exported through a door', () => {
  it.each(doors)('have a doc comment: %s', (door) => {
    const names = passedOn(door);
    expect(names.length).toBeGreaterThan(2);
    expect(names.filter(({ isDocumented }) => !isDocumented)).toEqual([]);
  });

  it('are noticed without one', () => {
    const text =
      '/** One. */\nexport const a = 1;\nexport const b = 2;\n/** Three. */\n@Injectable()\nexport class C {}';
    expect(declared('x.ts', text).map(({ name, isDocumented }) => [name, isDocumented])).toEqual([
      ['a', true],
      ['b', false],
      ['C', true],
    ]);
  });
});

describe('doc comments', () => {
  it('are noticed when they begin with a clause or use a word that is avoided', () => {
    const text =
      '/** What it is. */\n/** The name. */\n/**\n * A list\n * for nobody.\n */\n/** Where a file is. */';
    expect(clumsy(text)).toEqual(['What it is.', 'A list for nobody.', 'Where a file is.']);
  });

  it.each(folders)('are in plain English: %s', (folder) => {
    const files = readdirSync(join(root, folder), { encoding: 'utf8' }).filter(
      (name) => name.endsWith('.ts') && !tokenPath.test(name),
    );
    expect(files.flatMap((name) => clumsy(read(join(folder, name))).map((each) => [name, each]))).toEqual([]);
  });
});
