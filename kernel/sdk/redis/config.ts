import { z } from '../../contracts/zod.js';
import { parseRedisUrl, type RedisAddress } from './redis-url.js';

/** The server and the keys of a plugin that stands on Redis. A schema that extends it ends with `.superRefine(checkRedisConfig)`. */
export const redisConfig = z.strictObject({
  /** The server: `redis://host:6379`, `rediss://…` for TLS, with `/1` for another database, or `unix:/path/to/socket`. */
  url: z.string().default('redis://127.0.0.1:6379'),
  /** The user, in place of one in `url`. */
  username: z.string().optional(),
  /** The password, in place of one in `url`; here no character of it has to be encoded. */
  password: z.string().optional(),
  /**
   * Files for TLS: `caFile`, where the certificate of the server is signed by an authority of your own; `certFile` and `keyFile`
   * of this client, where the server asks for them. `serverName`, where its certificate has another name than `url`.
   */
  tls: z
    .strictObject({
      caFile: z.string().min(1).optional(),
      certFile: z.string().min(1).optional(),
      keyFile: z.string().min(1).optional(),
      serverName: z.string().min(1).optional(),
    })
    .default({}),
  /** The beginning of all keys and channels: one for each installation that uses the same server. */
  prefix: z
    .string()
    .regex(/^[\w.-]{1,32}$/, 'expected 1 to 32 letters, digits, . _ -')
    .default('w'),
  /** Whether to accept a server that drops keys when its memory is full (`maxmemory-policy` other than `noeviction`). */
  allowEviction: z.boolean().default(false),
});

/** Config of a connection to Redis. */
export type RedisConfig = z.infer<typeof redisConfig>;

/** The part of zod that a check of a whole config needs. */
export interface Refinement {
  addIssue(issue: { readonly code: 'custom'; path: string[]; message: string }): void;
}

/** Refuses what no single key shows. No message has a part of the URL, which may have a password in it. */
export function checkRedisConfig(config: RedisConfig, context: Refinement): void {
  const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  const address = parseRedisUrl(config.url);
  if (!address) {
    issue(
      ['url'],
      'expected redis://host:6379, rediss://host:6379 or unix:/path; of a password in it, all but letters and digits is to be percent-encoded, or set "password" instead',
    );
    return;
  }
  const { caFile, certFile, keyFile, serverName } = config.tls;
  if (!address.isSecure && (caFile ?? certFile ?? keyFile ?? serverName) !== undefined)
    issue(['tls'], 'is for a "url" that begins with rediss://');
  if ((certFile === undefined) !== (keyFile === undefined))
    issue(['tls'], 'expected "certFile" and "keyFile" together');
  const { username, password } = credentialsOf(config, address);
  if (username && !password) issue(['username'], 'expected a password for the user');
}

/** The user and the password, each undefined where there is none: an empty one, as of a variable that is not set, is none. */
export function credentialsOf(
  config: Pick<RedisConfig, 'username' | 'password'>,
  address: RedisAddress | undefined,
): { readonly username: string | undefined; readonly password: string | undefined } {
  return {
    username: config.username || address?.username,
    password: config.password || address?.password,
  };
}
