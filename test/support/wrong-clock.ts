import { existsSync } from 'node:fs';
import { isSoak } from './soak.js';

const library = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find(existsSync);

if (isSoak && !library)
  process.stdout.write(
    'libfaketime is not installed (apt-get install faketime): Date.now() of the server is wrong in its place\n',
  );

/** Environment and files of a server whose clock is wrong by so much; its timers are right. */
export function wrongClock(skewMs: number): {
  readonly env: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
} {
  if (skewMs === 0) return { env: {}, files: {} };
  if (isSoak && library) {
    const seconds = skewMs / 1000;
    return {
      env: {
        LD_PRELOAD: library,
        FAKETIME: `${seconds > 0 ? '+' : ''}${seconds}`,
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        DONT_FAKE_MONOTONIC: '1',
      },
      files: {},
    };
  }
  const skew = `const { now } = Date; Date.now = () => now() + ${skewMs};`;
  return { env: { NODE_OPTIONS: '--import ./skew.mjs' }, files: { 'skew.mjs': skew } };
}
