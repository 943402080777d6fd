import { createRequire } from 'node:module';
import type * as zod from 'zod';

/**
 * zod for all schemas of this package. `import 'zod'` opens its files all at once, languages included: more descriptors
 * than a process may have under `ulimit -n 96`. `require` opens one at a time, in the same time.
 */
export const z = createRequire(import.meta.url)('zod') as typeof zod;

/** The types of zod that are in use here. */
export declare namespace z {
  type infer<T> = zod.infer<T>;
  type input<T> = zod.input<T>;
  type output<T> = zod.output<T>;
  type ZodType<Output = unknown, Input = unknown> = zod.ZodType<Output, Input>;
}
