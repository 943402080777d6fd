import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const mount = (path: string, size: string) =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path]).status === 0;

/** Whether disks can be mounted here: that takes root, also in a container. */
export const hasMount = (() => {
  const path = mkdtempSync(join(tmpdir(), 'waggle-'));
  const isMounted = mount(path, '1m');
  if (isMounted) execFileSync('umount', [path]);
  rmSync(path, { recursive: true });
  return isMounted;
})();

/** A disk of its own, which is gone when the test that made it ends. */
export function smallDisk(size: string): string {
  const path = mkdtempSync(join(tmpdir(), 'waggle-'));
  if (!mount(path, size)) throw new Error(`nothing can be mounted at ${path}`);
  onTestFinished(() => {
    execFileSync('umount', ['-l', path]);
    rmSync(path, { recursive: true });
  });
  return path;
}
