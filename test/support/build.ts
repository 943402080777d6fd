import { execFileSync } from 'node:child_process';

/** Builds `dist/` before the tests, so that they never run an old one. */
export default function build(): void {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
}
