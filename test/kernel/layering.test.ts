import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** What it imports; a relative specifier as a path from the root. */
  readonly imports: readonly string[];
}

function sourcesOf(folder: string): readonly SourceFile[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => {
      const path = join(folder, name).split(sep).join('/');
      const text = readFileSync(join(root, path), 'utf8');
      return { path, text, imports: importsOf(text).map((each) => resolved(path, each)) };
    });
}

function importsOf(text: string): readonly string[] {
  const found = text.matchAll(/\bfrom\s+'([^']+)'|\bimport\s*\(?\s*'([^']+)'/g);
  return [...found].map(([, from, bare]) => (from ?? bare) as string);
}

function resolved(path: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  return relative(root, join(root, dirname(path), specifier))
    .split(sep)
    .join('/');
}

const kernel = sourcesOf('kernel');
const plugins = sourcesOf('plugins');

describe('the layers', () => {
  it('are read: there are files, and what they import is seen', () => {
    expect(kernel.find(({ path }) => path === 'kernel/scope.ts')?.imports).toContain('kernel/errors.js');
    expect(plugins.filter(({ imports }) => imports.includes('#kernel')).length).toBeGreaterThan(10);
    expect(importsOf(`import 'a';\nexport * from 'b';\nconst c = await import('c');`)).toEqual([
      'a',
      'b',
      'c',
    ]);
  });

  it.each(kernel.map(({ path, imports }) => [path, imports] as const))(
    'of the kernel: %s imports nothing of the plugins, and of HTTP only as part of that or as the door',
    (path, imports) => {
      expect(imports.filter((each) => each.startsWith('plugins/') || each === '#kernel')).toEqual([]);
      if (path.startsWith('kernel/contracts/http/') || path === 'kernel/index.ts') return;
      expect(imports.filter((each) => each.startsWith('kernel/contracts/http'))).toEqual([]);
    },
  );

  it.each(kernel.map(({ path, imports }) => [path, imports] as const))(
    'of the kernel: %s knows no native sockets, no thread pool and no model server',
    (_, imports) => {
      expect(imports.filter((each) => /^(uWebSockets\.js|uwebsockets|tinypool|ollama)$/.test(each))).toEqual(
        [],
      );
    },
  );

  it('of the kernel: what `Kernel` stands on knows no network and no threads at all', () => {
    const reached = new Set<SourceFile>();
    const visit = (path: string): void => {
      const file = kernel.find((each) => each.path === path.replace(/\.js$/, '.ts'));
      if (!file || reached.has(file)) return;
      reached.add(file);
      for (const each of file.imports) visit(each);
    };
    visit('kernel/kernel.ts');
    expect(reached.size).toBeGreaterThan(10);
    const network = /^(ws|undici|(node:)?(http|http2|https|net|tls|dgram|worker_threads|child_process))$/;
    for (const { path, imports } of reached)
      expect([path, ...imports.filter((each) => network.test(each))]).toEqual([path]);
  });

  it.each([...kernel, ...plugins].map(({ path, imports }) => [path, imports] as const))(
    '%s takes zod from #zod, which opens its files one at a time',
    (path, imports) => {
      if (path !== 'kernel/zod.ts') expect(imports).not.toContain('zod');
    },
  );

  it.each(plugins.map(({ path, imports }) => [path, imports] as const))(
    'of the plugins: %s imports #kernel, npm packages, Node and its own folder',
    (path, imports) => {
      const own = path.split('/').slice(0, 2).join('/');
      const others = imports.filter(
        (each) => /^(kernel|plugins|test|\.\.)(\/|$)/.test(each) && !each.startsWith(`${own}/`),
      );
      expect(others).toEqual([]);
      expect(imports).not.toContain('waggle-server');
    },
  );
});

describe('a plugin folder', () => {
  const folders = readdirSync(join(root, 'plugins'));

  it.each(folders)('%s has an index.ts of wiring only', (folder) => {
    const index = plugins.find(({ path }) => path === `plugins/${folder}/index.ts`);
    expect(index?.text.split('\n').length).toBeLessThan(80);
  });

  it.each(
    plugins.filter(({ path }) => !path.endsWith('/index.ts')).map(({ path, text }) => [path, text] as const),
  )('%s does not know the context', (_, text) => {
    expect(text).not.toMatch(/\bPluginContext\b/);
  });
});
