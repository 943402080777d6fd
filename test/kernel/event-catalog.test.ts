import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { pageText } from '../support/pages.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const sources = ['kernel', 'plugins'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(root, folder, name), 'utf8')),
);

type Events = ReadonlyMap<string, readonly string[]>;

/** The events that a file declares, and the fields of each. */
function declaredIn(text: string): readonly (readonly [string, readonly string[]])[] {
  const blocks = [...text.matchAll(/^( *)(?:export )?interface KernelEvents \{\n(.*?)^\1\}/gms)];
  return blocks.flatMap(([, , block]) =>
    [...(block as string).matchAll(/'([a-z]+:[a-z]+)':(.*?)(?=\n *(?:\/\*\*|'[a-z]+:)|$(?![\s\S]))/gs)].map(
      ([, name, payload]) => {
        const [, base] = /^\s*(\w+)/.exec(payload as string) ?? [];
        const [, inherited = ''] =
          new RegExp(`^(?:export )?interface ${base} \\{\\n(.*?)^\\}`, 'ms').exec(text) ?? [];
        return [name as string, fieldsOf(inherited + payload)] as const;
      },
    ),
  );
}

function fieldsOf(text: string): readonly string[] {
  return [...text.matchAll(/readonly (\w+)\??:/g)].map(([, field]) => field as string).sort();
}

const declared: Events = new Map(sources.flatMap(declaredIn));
const rows = [...pageText('kernel/README.md').matchAll(/^\| `([a-z]+:[a-z]+)` \| (.*?) \|/gm)];
const listed: Events = new Map(
  rows.map(([, name, cell]) => [
    name as string,
    [...(cell as string).matchAll(/`(\w+)`/g)].map(([, field]) => field as string).sort(),
  ]),
);

describe('every event', () => {
  it('is found where it is declared, with its fields', () => {
    expect(declared.get('kernel:state')).toEqual(['from', 'to']);
    expect(declared.get('plugin:state')).toEqual(['error', 'from', 'plugin', 'to']);
    expect(
      declaredIn(`
interface Base {
  readonly a: string;
}
declare module './bus.js' {
  interface KernelEvents {
    /** One. */
    'x:one': Base & { readonly b?: number };
    'x:two': Base;
    'x:three': {
      readonly c: string;
    };
  }
}`),
    ).toEqual([
      ['x:one', ['a', 'b']],
      ['x:two', ['a']],
      ['x:three', ['c']],
    ]);
  });

  it.each([...declared])('%s has one row in kernel/README.md, with its fields', (name, fields) => {
    expect(rows.filter((row) => row[1] === name)).toHaveLength(1);
    expect(listed.get(name)).toEqual(fields);
  });

  it.each([...listed.keys()])('%s of kernel/README.md is declared', (name) => {
    expect([...declared.keys()]).toContain(name);
  });
});
