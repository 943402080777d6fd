import { execFileSync } from 'node:child_process';
import { python } from './python.mjs';

/** Why a contender cannot take part on this machine; undefined when it can. */
export async function missing({ needs = [], imports = [], commands = [] }) {
  for (const name of needs)
    try {
      await import(name);
    } catch (error) {
      return `${name}: ${error.message.split('\n')[0]}`;
    }
  if (imports.length > 0 && !runs(python, ['-c', `import ${imports.join(', ')}`]))
    return `python modules ${imports.join(', ')}`;
  return commands.find((command) => !runs(command, ['--version']));
}

function runs(command, args) {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
