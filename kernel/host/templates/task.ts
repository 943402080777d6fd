import type { Files } from '../commands/new.js';

/** Files of a CPU-bound task for a worker thread, with a test. */
export function taskFiles(name: string): Files {
  return {
    'index.ts': `import { definePlugin } from 'waggle-server';
import type { Input, Output } from './${name}.task.js';

// Types for those who submit it.
declare module 'waggle-server' {
  interface TaskTypes {
    '${name}:run': { input: Input; output: Output };
  }
}

export default definePlugin({
  name: '${name}',
  apiVersion: 1,
  setup(ctx) {
    ctx.registerTask({
      name: '${name}:run',
      description: 'Counts the primes below a limit',
      lane: 'worker',
      module: new URL('./${name}.task.js', import.meta.url),
      exposed: true,
    });
  },
});
`,
    [`${name}.task.ts`]: `import type { TaskCall } from 'waggle-server';

/** Input of a run. */
export interface Input {
  readonly limit: number;
}

/** Output of a run. */
export interface Output {
  readonly primes: number;
}

/** Runs on a worker thread, so that it may use a whole CPU without delaying any tokens. */
export default function run({ limit }: Input, call: TaskCall): Output {
  if (!Number.isInteger(limit) || limit < 2 || limit > 100_000_000)
    throw new RangeError(\`limit: expected an integer from 2 to 100 million, got \${limit}\`);
  const isComposite = new Uint8Array(limit);
  const step = Math.ceil(limit / 10);
  let primes = 0;
  for (let n = 2; n < limit; n++) {
    if (n % step === 0) {
      call.progress({ percent: Math.round((n / limit) * 100) });
      if (call.cancelled) throw new Error('cancelled');
    }
    if (isComposite[n]) continue;
    primes++;
    for (let multiple = n * n; multiple < limit; multiple += n) isComposite[multiple] = 1;
  }
  return { primes };
}
`,
    'index.test.ts': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger, Kernel, TaskEngine } from 'waggle-server';
import tasks from 'waggle-server/plugins/tasks-tinypool';
import plugin from './index.js';

test('${name}:run counts the primes below a limit, on a thread', async () => {
  await using kernel = new Kernel({ logger: createLogger('silent') });
  kernel.use(tasks, { config: { workers: 1 } }).use(plugin);
  await kernel.start();
  const run = await kernel.get(TaskEngine).submit('${name}:run', { limit: 100 });
  const output = await run.result;
  assert.deepEqual(output, { primes: 25 });
});
`,
  };
}
