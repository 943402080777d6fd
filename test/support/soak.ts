/** Set by `npm run test:soak`: faults in full, which last an hour. */
export const isSoak = process.env.WAGGLE_SOAK === '1';

/** `short` in `npm run test:more`, `long` in `npm run test:soak`. */
export function soak<T>(short: T, long: T): T {
  return isSoak ? long : short;
}

/** Prints what a fault has cost, in `npm run test:soak`. */
export function figures(fault: string, values: Readonly<Record<string, number>>): void {
  if (!isSoak) return;
  const parts = Object.entries(values).map(([name, value]) => `${name} ${Math.round(value)}`);
  process.stdout.write(`${fault}: ${parts.join(', ')}\n`);
}
