import { WaggleError } from '../../errors.js';

/** The oldest server with all commands that are used. */
const oldest = [6, 2] as const;

/** Refuses a server that would lose what is stored there. `info` is its answer to `INFO`. @throws ENGINE_UNUSABLE, or an error as a replica says it */
export function checkServer(info: string, engine: string, allowEviction: boolean): void {
  const field = (name: string) => new RegExp(`^${name}:([^\\r\\n]*)`, 'm').exec(info)?.[1] ?? '';
  const refuse = (why: string) => {
    throw new WaggleError('ENGINE_UNUSABLE', { engine, why });
  };
  const version = field('redis_version');
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1]))
    refuse(`it is version ${version || 'unknown'}, and 6.2 or later is needed`);
  if (field('redis_mode') === 'cluster' || field('cluster_enabled') === '1')
    refuse('it is a Redis Cluster; use one server, or one address of the primary');
  const policy = field('maxmemory_policy');
  if (policy !== '' && policy !== 'noeviction' && !allowEviction)
    refuse(
      `it drops keys when its memory is full (maxmemory-policy ${policy}); set it to noeviction, or "allowEviction: true" here to risk answers and conversations`,
    );
  // As a replica answers a write: another connection may lead to the primary.
  if (/^(slave|replica)$/.test(field('role'))) throw new Error('READONLY a replica');
}
