// Builds the door `waggle-server/testing` into dist/test, beside the kernel and the plugins, which are built already.
import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const root = join(folder, '../..');
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
process.exitCode = spawnSync(process.execPath, [tsc, '-p', folder], { stdio: 'inherit' }).status ?? 1;
cpSync(join(root, 'test/fixtures/tasks'), join(root, 'dist/test/fixtures/tasks'), { recursive: true });
