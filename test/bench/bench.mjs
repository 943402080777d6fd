import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { benchRoot, clientCore, repoRoot } from './rig/process.mjs';
import { installPython } from './rig/python.mjs';

// The peers are installed here and not by the main npm ci, so whatever imports them has to wait for this.
const npm = (args, cwd) => execFileSync('npm', args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
if (process.platform !== 'linux') {
  console.error('The bench reads CPU times from /proc and pins processes with taskset, so it needs Linux.');
  process.exit(1);
}
npm(['run', '--silent', 'build'], repoRoot);
if (!existsSync(`${benchRoot}node_modules`)) {
  console.log('installing the peers into test/bench/node_modules');
  npm(['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--silent'], benchRoot);
}
try {
  installPython();
} catch (error) {
  console.error(`The Python peers are left out: ${error.message}`);
}
// The rig stays off the server's core.
execFileSync('taskset', ['-a', '-p', '-c', String(clientCore), String(process.pid)], { stdio: 'ignore' });
const { run } = await import('./rig/run.mjs');
process.exit(await run(process.argv.slice(2)));
