import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';
import { browserPath } from './support/browser-path.js';
import { built } from './support/built.js';
import { programPath } from './support/program-path.js';
import { isSoak } from './support/soak.js';
import { isThorough, isWhole } from './support/thorough.js';
import { thoroughFiles } from './support/thorough-files.js';

const root = fileURLToPath(new URL('..', import.meta.url));

const missing = ['nginx', 'caddy'].filter((name) => !programPath(name));
const hasRedis = programPath('redis-server') !== undefined;
const real = process.env.WAGGLE_REAL;
const python = process.env.WAGGLE_PYTHON;
const clients = existsSync(`${root}test/clients/node_modules`);
if (isThorough) {
  if (!browserPath) absent('BROWSER', 'Chromium for the tests in a browser');
  if (missing.length > 0) absent('PROXIES', `${missing.join(' and ')} for the tests behind a proxy`);
  if (!hasRedis) absent('REDIS', 'redis-server for the tests of plugins on Redis');
  if (!python) absent('PYTHON', "Python for the tests with Python's clients: WAGGLE_PYTHON names none");
  if (!clients) absent('CLIENTS', 'folder test/clients/node_modules for the tests with clients of others');
  if (!real)
    console.warn('WAGGLE_REAL names no folder of model servers: the tests with real ones are left out.');
}

function absent(suite: string, program: string): void {
  const message = `there is no ${program}`;
  if (process.env[`WAGGLE_REQUIRE_${suite}`]) throw new Error(message);
  console.warn(`${message}: they are left out`);
}

// What lasts, or needs programs of this machine, is for `npm run test:more`, and so are the rest of the long tables and
// the other runs of the properties.
const more = ['browser', 'clients', 'proxies', 'python', 'real', 'soak'].map(
  (folder) => `test/${folder}/**/*.test.ts`,
);
const folders = ['contracts', 'kernel', 'plugins', 'support', ...(isWhole ? ['integration'] : [])];
const thorough = [
  ...thoroughFiles(
    root,
    folders.map((folder) => `test/${folder}`),
  ),
  ...(isWhole ? [] : ['test/integration/streams.test.ts']),
];

/** Leases and claims have to be renewed in time: two files at once at the most, when all others are over. */
const redis = 'test/redis/**/*.test.ts';
/** Faults of whole servers, which take minutes: for `npm run test:all` and `npm run test:soak`. */
const lasting = ['server-faults', 'many-replies'].map((name) => `test/redis/${name}.test.ts`);
const threads = 'test/plugins/tasks-tinypool/**/*.test.ts';
const isOfThreads = (path: string): boolean => path.startsWith('test/plugins/tasks-tinypool/');
const files = isThorough ? [...more, ...thorough] : ['test/**/*.test.ts'];

const isCovered = process.argv.includes('--coverage');
const sources = {
  '#kernel': `${root}kernel/index.ts`,
  '#sdk/dialect': `${root}kernel/sdk/dialect/index.ts`,
  '#sdk/http': `${root}kernel/sdk/http/index.ts`,
  '#sdk/limits': `${root}kernel/sdk/limits/index.ts`,
  '#sdk/redis': `${root}kernel/sdk/redis/index.ts`,
  '#sdk/streams': `${root}kernel/sdk/streams/index.ts`,
  '#sdk/tasks': `${root}kernel/sdk/tasks/index.ts`,
  '#sdk/upstream': `${root}kernel/sdk/upstream/index.ts`,
  '#sdk/search-words': `${root}kernel/sdk/search-words.ts`,
  '#sdk': `${root}kernel/sdk/index.ts`,
  '#zod': `${root}kernel/contracts/zod.ts`,
};

export default defineConfig({
  root,
  // To tell which lines ran, vitest has to have the sources.
  ...(isCovered ? { resolve: { alias: sources } } : { plugins: [built(root)] }),
  test: {
    exclude: [
      ...configDefaults.exclude,
      ...(isThorough ? [] : [...more, redis]),
      ...(browserPath ? [] : ['test/browser/**']),
      ...(python ? [] : ['test/python/**']),
      ...(clients ? [] : ['test/clients/**']),
      ...(real ? [] : ['test/real/**']),
      ...(isWhole || isSoak ? [] : lasting),
      ...(hasRedis ? [] : [redis, 'test/browser/approvals-of-servers.test.ts']),
      ...missing.map((name) => `test/proxies/${name}.test.ts`),
    ],
    // uWebSockets.js ends a process that shares it between threads.
    pool: 'forks',
    projects: [
      // One process for many files, which all import the same; each test ends what it began, as leaks.ts checks.
      { extends: true, test: { name: 'shared', include: files, exclude: [threads], isolate: false } },
      // Threads that load uWebSockets.js end a process that has loaded it for another file.
      {
        extends: true,
        test: { name: 'threads', include: isThorough ? thorough.filter(isOfThreads) : [threads] },
      },
      {
        extends: true,
        test: {
          name: 'redis',
          include: isThorough ? [redis] : [],
          isolate: false,
          maxWorkers: isSoak ? 1 : 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
    // Many tests wait for a process or a clock, so there are more than processors; programs of others keep them busy.
    maxWorkers: availableParallelism() + (isThorough ? 2 : 4),
    setupFiles: ['reflect-metadata'],
    // What is built, and plugins in folders of tests, are loaded by Node, as in a server, and not by vitest.
    server: { deps: { external: [/\/dist\/(kernel|plugins)\//, /\/waggle-\w{6}\//] } },
    // Tests run what is in dist/.
    globalSetup: `${root}test/support/build.ts`,
    // Bounds for what hangs: what a test waits for on a busy machine may take its time.
    testTimeout: isThorough ? 120_000 : 60_000,
    hookTimeout: isThorough ? 120_000 : 60_000,
    expect: { poll: { timeout: 15_000 } },
    // `npm run coverage`: the rooms that every plugin stands on.
    coverage: {
      include: ['kernel/*.ts', 'kernel/contracts/**/*.ts', 'kernel/sdk/**/*.ts'],
      reporter: ['text-summary'],
      reportOnFailure: true,
      thresholds: { statements: 97, branches: 95, functions: 96, lines: 97 },
      reportsDirectory: `${root}node_modules/.cache/coverage`,
    },
  },
});
