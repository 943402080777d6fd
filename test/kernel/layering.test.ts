import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** Imported modules; a relative specifier as a path from the root. */
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

type Room =
  | 'kernel'
  | 'contracts'
  | 'sdk'
  | 'sdk/dialect'
  | 'sdk/http'
  | 'sdk/limits'
  | 'sdk/redis'
  | 'sdk/streams'
  | 'sdk/tasks'
  | 'sdk/upstream'
  | 'host'
  | `plugins/${string}`;

/** The room of a path from the root, without its ending. */
function roomOf(path: string): Room | undefined {
  const [, plugin] = /^plugins\/([^/]+)\//.exec(path) ?? [];
  if (plugin) return `plugins/${plugin}`;
  const [, room] =
    /^kernel\/(contracts|sdk\/(?:dialect|http|limits|redis|streams|tasks|upstream)|sdk|host)\//.exec(path) ??
    [];
  return (room as Room | undefined) ?? (path.startsWith('kernel/') ? 'kernel' : undefined);
}

/** The rooms whose files a room may import, beside its own. */
const mayImport: Readonly<Record<string, readonly Room[]>> = {
  kernel: ['contracts'],
  contracts: ['kernel'],
  sdk: ['kernel', 'contracts'],
  'sdk/dialect': ['kernel', 'contracts', 'sdk'],
  'sdk/http': ['kernel', 'contracts', 'sdk'],
  'sdk/limits': ['kernel', 'contracts', 'sdk'],
  'sdk/redis': ['kernel', 'contracts', 'sdk'],
  'sdk/streams': ['kernel', 'contracts', 'sdk'],
  'sdk/tasks': ['kernel', 'contracts', 'sdk'],
  'sdk/upstream': ['kernel', 'contracts', 'sdk'],
  host: ['kernel', 'contracts', 'sdk'],
};

/** Doors are the exception of a room: a list of what others may import, and the entry of the process. */
const doors: Readonly<Record<string, readonly Room[]>> = {
  'kernel/sdk/all.ts': ['sdk/http', 'sdk/upstream'],
  'kernel/cli.ts': ['host'],
};

/** Names of this package and its packages of the network, the file system and the process, by room. */
const forbidden: Readonly<Record<string, RegExp>> = {
  kernel:
    /^(#|waggle-server|ws$|undici|ollama|(node:)?(fs|http|https|net|tls|dgram|worker_threads|child_process)\b)/,
  contracts: /^(#(?!zod$)|waggle-server|ws$|undici|ollama|node:(?!module$))/,
  sdk: /^(#(?!zod$)|waggle-server|ollama|uWebSockets\.js$|tinypool$)/,
  'sdk/dialect': /^(#(?!zod$)|waggle-server|ollama|uWebSockets\.js$|tinypool$)/,
  'sdk/http': /^(#(?!zod$)|waggle-server|ollama|uWebSockets\.js$|tinypool$)/,
  'sdk/limits': /^(#(?!zod$)|waggle-server|ollama|uWebSockets\.js$|tinypool$)/,
  'sdk/redis': /^(#(?!zod$)|waggle-server|ollama|uWebSockets\.js$|tinypool$)/,
  'sdk/streams': /^(#(?!zod$)|waggle-server|ollama|uWebSockets\.js$|tinypool$)/,
  'sdk/tasks': /^(#(?!zod$|register$)|waggle-server|ollama|uWebSockets\.js$)/,
  'sdk/upstream': /^(#(?!zod$)|waggle-server|ollama|uWebSockets\.js$|tinypool$)/,
  host: /^(#(?!zod$|register$)|waggle-server(?!\/client$)|ollama|uWebSockets\.js$|tinypool$)/,
};

/** The imports that a file must not have, by its path: of hundreds of files all are judged at once. */
function strangeImports(
  files: readonly SourceFile[],
  isStrange: (imported: string, path: string) => boolean,
): readonly (readonly [path: string, imported: string])[] {
  return files.flatMap(({ path, imports }) =>
    imports.filter((each) => isStrange(each, path)).map((each) => [path, each] as const),
  );
}

describe('the rooms', () => {
  it('are read: there are files, and their imports are seen', () => {
    expect(kernel.find(({ path }) => path === 'kernel/scope.ts')?.imports).toContain('kernel/errors.js');
    expect(plugins.filter(({ imports }) => imports.includes('#kernel')).length).toBeGreaterThan(10);
    expect(importsOf(`import 'a';\nexport * from 'b';\nconst c = await import('c');`)).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(new Set(kernel.map(({ path }) => roomOf(path)))).toEqual(new Set(Object.keys(mayImport)));
  });

  it('import only from the rooms that they may know', () => {
    const isStrange = (imported: string, path: string) => {
      const room = roomOf(path) as Room;
      const other = roomOf(imported);
      const allowed = [room, ...(mayImport[room] ?? []), ...(doors[path] ?? [])];
      return other !== undefined && !allowed.includes(other);
    };
    expect(strangeImports(kernel, isStrange)).toEqual([]);
  });

  it('import no package that they must not know', () => {
    // Templates are texts of modules of third parties.
    const ours = kernel.filter(({ path }) => !path.startsWith('kernel/host/templates/'));
    const isStrange = (imported: string, path: string) =>
      roomOf(imported) === undefined && (forbidden[roomOf(path) as Room] as RegExp).test(imported);
    expect(strangeImports(ours, isStrange)).toEqual([]);
  });

  it('and plugins take zod from #zod, which opens its files one at a time', () => {
    const others = [...kernel, ...plugins].filter(({ path }) => path !== 'kernel/contracts/zod.ts');
    expect(strangeImports(others, (imported) => imported === 'zod')).toEqual([]);
  });

  it('are known to plugins by the doors, who import npm packages, Node and their own folder besides', () => {
    const isStrange = (imported: string, path: string) => {
      const own = path.split('/').slice(0, 2).join('/');
      if (imported === 'waggle-server') return true;
      return /^(kernel|plugins|test|\.\.)(\/|$)/.test(imported) && !imported.startsWith(`${own}/`);
    };
    expect(strangeImports(plugins, isStrange)).toEqual([]);
  });

  it('have no circle of files whose imports remain when they run', () => {
    const edges = new Map(
      kernel.map(({ path, text }) => [
        path,
        importsOf(text.replace(/\b(import|export) type [^;]+;/g, ''))
          .map((each) => resolved(path, each).replace(/\.js$/, '.ts'))
          .filter((each) => each.startsWith('kernel/')),
      ]),
    );
    const done = new Set<string>();
    const circleFrom = (path: string, way: readonly string[]): readonly string[] | undefined => {
      if (way.includes(path)) return [...way.slice(way.indexOf(path)), path];
      if (done.has(path)) return undefined;
      const circle = (edges.get(path) ?? []).map((next) => circleFrom(next, [...way, path])).find(Boolean);
      done.add(path);
      return circle;
    };
    expect([...edges.keys()].map((path) => circleFrom(path, [])).filter(Boolean)).toEqual([]);
  });
});

describe('the kernel', () => {
  const lines = (room: Room) =>
    kernel
      .filter(({ path }) => roomOf(path) === room)
      .reduce((sum, { text }) => sum + text.split('\n').length - 1, 0);

  it('stays small enough to read in one sitting', () => {
    expect(lines('kernel')).toBeLessThanOrEqual(2000);
  });

  it('knows no process: resources, signals and arguments are the business of a host', () => {
    const knowing = kernel.filter(({ path, text }) => roomOf(path) === 'kernel' && /\bprocess\./.test(text));
    expect(knowing.map(({ path }) => path)).toEqual([]);
  });

  it('has contracts in which nothing runs', () => {
    const classes = kernel
      .filter(({ path }) => roomOf(path) === 'contracts')
      .flatMap(({ path, text }) =>
        [...text.matchAll(/^export (?:abstract )?(?:class|function) (\w+)/gm)].map(([, name]) => [
          path,
          name,
        ]),
      );
    expect(classes).toEqual([
      ['kernel/contracts/agent.ts', 'BaseAgent'],
      ['kernel/contracts/task.ts', 'BaseTask'],
    ]);
  });
});

describe('a plugin folder', () => {
  const folders = readdirSync(join(root, 'plugins'), { withFileTypes: true })
    .filter((each) => each.isDirectory())
    .map(({ name }) => name);

  it.each(folders)('%s has an index.ts of wiring only', (folder) => {
    const index = plugins.find(({ path }) => path === `plugins/${folder}/index.ts`);
    expect(index?.text.split('\n').length).toBeLessThan(80);
  });

  it('has no other file that knows the context', () => {
    const knowing = plugins.filter(
      ({ path, text }) => !path.endsWith('/index.ts') && /\bPluginContext\b/.test(text),
    );
    expect(knowing.map(({ path }) => path)).toEqual([]);
  });
});
