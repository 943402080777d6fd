/** Set by `npm run test:more`: every row of every table, and properties with all their runs. */
export const isThorough = process.env.WAGGLE_THOROUGH === '1';

/** Set by `npm run test:all`, before a release: the long tables of the integration tests as well. */
export const isWhole = process.env.WAGGLE_WHOLE === '1';

/** A number of repetitions, of which `npm test` makes a fifth. */
export function times(count: number): number {
  return isThorough ? count : Math.ceil(count / 5);
}
