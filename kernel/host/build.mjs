// Builds dist/ with tsc or, where tsc is not installed, as in production, without types. Then only stale files are
// built, so that a built server also starts on a read-only file system.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const compiler = compilerPath();
if (compiler)
  process.exitCode = spawnSync(process.execPath, [compiler, '-p', root], { stdio: 'inherit' }).status ?? 1;
else await buildWithoutTypes();

function compilerPath() {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  } catch {
    return undefined;
  }
}

async function buildWithoutTypes() {
  const stale = ['kernel', 'plugins'].flatMap(sourcesIn).filter(isStale);
  if (stale.length === 0) return;
  const { transform } = await import('oxc-transform');
  for (const source of stale) {
    const { code, errors } = await transform(source, readFileSync(join(root, source), 'utf8'), {
      lang: 'ts',
      sourceType: 'module',
      target: 'node20',
      typescript: { onlyRemoveTypeImports: true },
      decorator: { legacy: true },
    });
    const [issue] = errors.filter(({ severity }) => severity === 'Error');
    if (issue) throw new SyntaxError(`${source}: ${issue.message}`);
    mkdirSync(dirname(builtFrom(source)), { recursive: true });
    writeFileSync(builtFrom(source), code);
  }
}

function sourcesIn(folder) {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name));
}

function builtFrom(source) {
  return join(root, 'dist', source.replace(/ts$/, 'js'));
}

function isStale(source) {
  const built = statSync(builtFrom(source), { throwIfNoEntry: false });
  return !built || built.mtimeMs < statSync(join(root, source)).mtimeMs;
}
