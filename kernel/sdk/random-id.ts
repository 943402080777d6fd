import { randomFillSync } from 'node:crypto';

const bytes = 18;
// One call for many: each by itself takes longer than all else that a small task costs.
const pool = Buffer.alloc(bytes * 256);
let at = pool.length;

/** An id that nobody guesses, 144 random bits in 24 characters: whoever has it may do what it stands for. */
export function randomId(): string {
  if (at === pool.length) {
    randomFillSync(pool);
    at = 0;
  }
  const id = pool.toString('base64url', at, at + bytes);
  at += bytes;
  return id;
}
