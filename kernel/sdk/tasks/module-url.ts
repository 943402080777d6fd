import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The file behind a task's module: `count.task.js` is written also where only `count.task.ts` exists, as in imports. @throws when there is none */
export function moduleUrl(module: URL): URL {
  if (module.protocol !== 'file:') throw new Error('its module is not a file');
  if (existsSync(module)) return module;
  const source = new URL(module.href.replace(/\.(m?)js$/, '.$1ts'));
  if (source.href !== module.href && existsSync(source)) return source;
  throw new Error(`its module "${fileURLToPath(module)}" does not exist`);
}
