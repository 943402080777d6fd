import { createHash } from 'node:crypto';
import { WaggleError } from '../../errors.js';

/** Version of the keys and their values, of all plugins on Redis together. */
export const redisLayout = '1';

/** Refuses data that another version of this program has written. For the beginning of a connection. @throws ENGINE_UNUSABLE */
export async function checkLayout(
  send: (...args: readonly string[]) => Promise<unknown>,
  prefix: string,
  engine: string,
): Promise<void> {
  const key = `${prefix}:layout`;
  let found = await send('GET', key);
  if (found === null) {
    await send('SET', key, redisLayout, 'NX');
    found = await send('GET', key);
  }
  if (found === redisLayout) return;
  const why = `its keys "${prefix}:…" are those of another version of Waggle (layout ${found}, here ${redisLayout}); give this one another "prefix", or update all servers`;
  throw new WaggleError('ENGINE_UNUSABLE', { engine, why });
}

/** 128 bits of SHA-256 in place of an id: the names of keys, which many may see, tell no id. */
export function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('base64url').slice(0, 22);
}
