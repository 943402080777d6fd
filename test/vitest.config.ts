import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

export default defineConfig({
  root,
  resolve: { alias: { '#kernel': `${root}kernel/index.ts`, 'waggle-server': `${root}kernel/index.ts` } },
  test: {
    include: ['test/**/*.test.ts'],
    // uWebSockets.js ends a process that shares it between threads.
    pool: 'forks',
    setupFiles: ['reflect-metadata'],
  },
});
