import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';
import { browserPath } from './support/browser-path.js';
import { programPath } from './support/program-path.js';

const root = fileURLToPath(new URL('..', import.meta.url));

if (!browserPath) {
  if (process.env.WAGGLE_REQUIRE_BROWSER) throw new Error('there is no Chromium for the tests in a browser');
  console.warn('There is no Chromium here: the tests in a browser are left out.');
}

const missing = ['nginx', 'caddy'].filter((name) => !programPath(name));
if (missing.length > 0) {
  const names = missing.join(' and ');
  if (process.env.WAGGLE_REQUIRE_PROXIES)
    throw new Error(`there is no ${names} for the tests behind a proxy`);
  console.warn(`There is no ${names} here: the tests behind it are left out.`);
}

const python = process.env.WAGGLE_PYTHON;
if (!python) {
  if (process.env.WAGGLE_REQUIRE_PYTHON)
    throw new Error("WAGGLE_PYTHON names no Python for the tests with Python's clients");
  console.warn("WAGGLE_PYTHON names no Python: the tests with Python's clients are left out.");
}

const real = process.env.WAGGLE_REAL;
if (!real)
  console.warn('WAGGLE_REAL names no folder of model servers: the tests with real ones are left out.');

export default defineConfig({
  root,
  resolve: {
    alias: {
      '#kernel': `${root}kernel/index.ts`,
      '#sdk/http': `${root}kernel/sdk/http/index.ts`,
      '#sdk/upstream': `${root}kernel/sdk/upstream/index.ts`,
      '#sdk': `${root}kernel/sdk/index.ts`,
      '#zod': `${root}kernel/contracts/zod.ts`,
    },
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [
      ...configDefaults.exclude,
      ...(browserPath ? [] : ['test/browser/**']),
      ...(python ? [] : ['test/python/**']),
      ...(real ? [] : ['test/real/**']),
      ...missing.map((name) => `test/proxies/${name}.test.ts`),
    ],
    // uWebSockets.js ends a process that shares it between threads.
    pool: 'forks',
    // Many tests wait for a process or a clock: one more than there are processors to spare.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    setupFiles: ['reflect-metadata'],
    // Plugins in folders of tests are loaded by Node, as in a server, and not by vitest.
    server: { deps: { external: [/\/waggle-\w{6}\//] } },
    // Tests that start the real command run what is in dist/.
    globalSetup: `${root}test/support/build.ts`,
    // Bounds for what hangs: what a test waits for on a busy machine may take its time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
  },
});
