import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface ProgramOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** Runs a program without any input, and gives its exit code with all that it has printed; null where it took longer than `timeoutMs`. */
export async function runProgram(
  program: string,
  args: readonly string[],
  { cwd, env, timeoutMs }: ProgramOptions,
) {
  // A group of its own, so that nothing it has started outlives it.
  const child = spawn(program, args, {
    cwd,
    env: { PATH: process.env.PATH, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let timedOut = false;
  const kill = () => {
    try {
      process.kill(-(child.pid as number), 'SIGKILL');
    } catch {
      // It has ended, and so has all that it started.
    }
  };
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, timeoutMs);
  process.once('exit', kill);
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      printed[name] += text;
    });
  const [code] = (await once(child, 'exit')) as [number | null];
  kill();
  await Promise.all([child.stdout, child.stderr].map((stream) => stream.closed || once(stream, 'close')));
  clearTimeout(timer);
  process.off('exit', kill);
  return { code: timedOut ? null : code, ...printed };
}

/** What each case of a program in JavaScript has got, by its name; the program is told the server's address. */
export async function casesOf(
  program: string,
  args: readonly string[],
): Promise<ReadonlyMap<string, unknown>> {
  const cwd = fileURLToPath(new URL('programs', import.meta.url));
  const options = { cwd, env: { HOME: cwd }, timeoutMs: 100_000 };
  const { code, stdout, stderr } = await runProgram(process.execPath, [`${program}.mjs`, ...args], options);
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${stderr}`);
  const cases = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return new Map(cases.map(({ name, got }) => [name, got]));
}
