import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { KernelOptions, UseOptions } from '../../kernel/contracts/kernel-options.js';
import { Kernel } from '../../kernel/kernel.js';
import type { Logger } from '../../kernel/logger.js';
import type { Plugin } from '../../kernel/plugin.js';
import { createLogger } from '../../kernel/sdk/logger.js';

/** A logger that writes nothing. */
export const silentLogger: Logger = createLogger('silent', { write: () => {} });

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into log lines freely
  readonly [key: string]: any;
}

/** A logger that collects its lines. */
export function recordingLogger(): { readonly logger: Logger; readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = [];
  const logger = createLogger('trace', { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { logger, lines };
}

/** A plugin that does nothing but what is given. */
export function plugin(name: string, overrides: Partial<Plugin> = {}): Plugin {
  return { name, apiVersion: 1, setup: () => {}, ...overrides };
}

type Used = Plugin | readonly [Plugin, UseOptions<Plugin>];

/** A kernel with these plugins that has not started. */
export function kernelWith(plugins: readonly Used[], options: KernelOptions = {}): Kernel {
  const kernel = new Kernel({
    logger: silentLogger,
    pluginTimeoutMs: 5_000,
    drainTimeoutMs: 5_000,
    ...options,
  });
  for (const each of plugins) {
    const [used, how] = 'setup' in each ? [each, {}] : each;
    kernel.use(used, how);
  }
  return kernel;
}

/** A kernel with these plugins that has started. */
export async function startKernel(plugins: readonly Used[], options?: KernelOptions): Promise<Kernel> {
  const kernel = kernelWith(plugins, options);
  await kernel.start();
  return kernel;
}

/** What a promise was rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}

/** A promise that never settles. */
export const never = (): Promise<never> => new Promise(() => {});

/** A promise that a test settles. */
export { deferred } from '#sdk';

/** A folder of one test. */
export interface TempFolder {
  readonly path: string;
  /** Writes a file, with the folders above it, and gives its path. */
  write(name: string, text: string): string;
}

/** A folder that is removed when the test that made it ends. */
export function tempFolder(): TempFolder {
  // The real path, as links are resolved where modules are found.
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'waggle-')));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return {
    path,
    write(name, text) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
      return file;
    },
  };
}
