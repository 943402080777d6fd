/**
 * The close codes of WebSockets that say something: those of RFC 6455 and of its registry, and ours (4400 and above).
 * Clients may close with any other one from 3000 to 4999, so whoever counts by code counts those as one.
 */
export const closeCodes: ReadonlySet<number> = new Set([
  ...[1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013],
  ...[4400, 4401, 4403, 4408, 4409, 4429],
]);
