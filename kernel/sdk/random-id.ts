import { randomFillSync } from 'node:crypto';

const bytes = 18;
// One call fills the pool for many ids: a call per id would take longer than a small task.
const pool = Buffer.alloc(bytes * 256);
let at = pool.length;

/** An unguessable bearer id: 144 random bits, base64url. */
export function randomId(): string {
  if (at === pool.length) {
    randomFillSync(pool);
    at = 0;
  }
  const id = pool.toString('base64url', at, at + bytes);
  at += bytes;
  return id;
}
