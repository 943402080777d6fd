import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Where the packages of `requirements.txt` are installed. */
const python = process.env.WAGGLE_PYTHON ?? '';

/** Runs Python in a folder and gives its exit code with all that it has printed; null where it took longer than `timeoutMs`. */
export async function runPython(
  args: readonly string[],
  { cwd, timeoutMs }: { readonly cwd: string; readonly timeoutMs: number },
) {
  // A proxy that the machine names is not for a server on it.
  const env = { PATH: process.env.PATH, HOME: cwd, NO_PROXY: '*', NO_COLOR: '1', PYTHONUTF8: '1' };
  const child = spawn(python, args, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      printed[name] += text;
    });
  const [code] = (await once(child, 'close')) as [number | null];
  process.off('exit', kill);
  return { code, ...printed };
}

/** What each case of a program has got, by the name of the case; the program is told the server's address. */
export async function casesOf(program: string, url: string): Promise<ReadonlyMap<string, unknown>> {
  const cwd = fileURLToPath(new URL('programs', import.meta.url));
  const { code, stdout, stderr } = await runPython([`${program}.py`, url], { cwd, timeoutMs: 100_000 });
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${stderr}`);
  const cases = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return new Map(cases.map(({ name, got }) => [name, got]));
}
