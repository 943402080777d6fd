import { fileURLToPath } from 'node:url';

const kernel = [new URL('../', import.meta.url).href, fileURLToPath(new URL('../', import.meta.url))];

/**
 * Makes `process.exit` and `process.abort` throw where a plugin or one of its dependencies calls them: a starting server
 * must not end silently. Only the kernel ends the process. The returned function restores them.
 */
export function guardExit(): () => void {
  const { exit, abort } = process;
  const guarded =
    <A extends readonly unknown[]>(name: string, original: (...args: A) => never) =>
    (...args: A) => {
      // Line 2 is this function, line 3 its caller.
      const caller = String(new Error().stack).split('\n')[2] ?? '';
      if (kernel.some((place) => caller.includes(place))) return original.apply(process, [...args] as never);
      const [, place] = /\(?(?:file:\/\/)?(\/[^()]*?):\d+\)?$/.exec(caller) ?? [];
      throw new Error(`process.${name}(${args.join()}) was called${place ? ` at ${place}` : ''}`);
    };
  process.exit = guarded('exit', exit);
  process.abort = guarded('abort', abort);
  return () => {
    process.exit = exit;
    process.abort = abort;
  };
}
