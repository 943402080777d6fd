import { fileURLToPath } from 'node:url';

const kernel = [new URL('../', import.meta.url).href, fileURLToPath(new URL('../', import.meta.url))];

/**
 * Makes `process.exit` and `process.abort` throw where a plugin, or what it imports, calls them: a server that starts must
 * not end without a word. Only the kernel ends the process. Undone, they are as before.
 */
export function guardExit(): () => void {
  const { exit, abort } = process;
  const guarded =
    <A extends readonly unknown[]>(name: string, original: (...args: A) => never) =>
    (...args: A) => {
      // The second line is this function, the third its caller.
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
