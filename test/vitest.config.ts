import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

export default defineConfig({
  root,
  resolve: { alias: { '#kernel': `${root}kernel/index.ts` } },
  test: {
    include: ['test/**/*.test.ts'],
    // uWebSockets.js ends a process that shares it between threads.
    pool: 'forks',
    setupFiles: ['reflect-metadata'],
    // Plugins in folders of tests are loaded by Node, as in a server, and not by vitest.
    server: { deps: { external: [/\/waggle-\w{6}\//] } },
    // Tests that start the real command run what is in dist/.
    globalSetup: `${root}test/support/build.ts`,
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
