import { messageOf } from '../../errors.js';
import type { RedisConfig } from './config.js';
import { checkLayout } from './layout.js';
import type { RedisConnection } from './redis-connection.js';
import type { RedisScript } from './redis-script.js';
import { parseRedisUrl } from './redis-url.js';
import { checkServer } from './server-check.js';

/**
 * The first commands of a connection: they refuse a server that would lose data, and data of another version, and load scripts,
 * so that calls keep their order: a script that is sent twice comes late. All at the same time, as the way may be long.
 */
export function preparation(
  { url, prefix, allowEviction }: RedisConfig,
  scripts: readonly RedisScript[] = [],
): (connection: RedisConnection) => Promise<void> {
  const engine = parseRedisUrl(url)?.name ?? 'Redis';
  return async (connection) => {
    await Promise.all([
      connection.send(['INFO']).then((info) => checkServer(String(info), engine, allowEviction)),
      checkLayout((...args) => connection.send(args), prefix, engine),
      ...scripts.map((script) => load(connection, script)),
    ]);
  };
}

/** A server without memory takes a script at its first call. */
async function load(connection: RedisConnection, { text }: RedisScript): Promise<void> {
  try {
    await connection.send(['SCRIPT', 'LOAD', text]);
  } catch (error) {
    if (!messageOf(error).startsWith('OOM')) throw error;
  }
}
