import { describe, expect, it } from 'vitest';
import { checkRedisConfig, parseRedisUrl, type RedisConfig, redisConfig } from '#sdk/redis';

describe('a URL of Redis', () => {
  it.each([
    ['redis://h', { host: 'h', port: 6379, isSecure: false, database: 0, name: 'h:6379' }],
    ['rediss://h:6380/3', { host: 'h', port: 6380, isSecure: true, database: 3 }],
    ['redis://user:pass@h', { username: 'user', password: 'pass', name: 'h:6379' }],
    ['redis://:p%40%2F%23%3F%25@h', { password: 'p@/#?%', name: 'h:6379' }],
    ['redis://u:p@ss@h', { username: 'u', password: 'p@ss', name: 'h:6379' }],
    ['redis://[::1]:6379', { host: '::1', name: '[::1]:6379' }],
    ['redis://h/', { database: 0 }],
    ['unix:/run/redis.sock', { path: '/run/redis.sock', database: 0, name: '/run/redis.sock' }],
    ['unix:///run/redis.sock?db=2', { path: '/run/redis.sock', database: 2 }],
    ['redis+unix:///run/my%20redis', { path: '/run/my redis' }],
  ])('%s is read', (url, parts) => {
    expect(parseRedisUrl(url)).toMatchObject(parts);
  });

  it.each(
    [
      [
        '',
        'h',
        'h:6379',
        'http://h',
        'redis:',
        'redis://',
        'redis:h',
        'redis:///1',
        'redis://h/x',
        'redis://h/-1',
      ],
      [
        'redis://h:0',
        'redis://h:65536',
        'redis://h?db=1',
        'redis://h#1',
        'redis://u:p%zz@h',
        'redis://u:12#3@h',
      ],
      ['redis://:p/w@h', 'redis://:p?w@h', 'redis://:p#w@h', 'redis://u:12/3@h', 'redis://u:12?3@h'],
      [
        'unix:',
        'unix:/',
        'unix:relative',
        'unix://host/path',
        'unix:/path?x=1',
        'unix:/path?db=x',
        'unix://u:p@/path',
      ],
    ].flat(),
  )('"%s" is refused', (url) => {
    expect(parseRedisUrl(url)).toBeUndefined();
  });
});

describe('a config', () => {
  const issues = (config: Partial<RedisConfig>) => {
    const result = redisConfig.superRefine(checkRedisConfig).safeParse(config);
    return (result.error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
  };

  it('is well without any key, and with empty ones of variables that are not set', () => {
    expect(issues({})).toEqual([]);
    expect(issues({ username: '', password: '' })).toEqual([]);
    expect(
      issues({ url: 'rediss://h', username: 'u', password: 'p', tls: { certFile: 'c', keyFile: 'k' } }),
    ).toEqual([]);
  });

  it('is refused with the key that is wrong, and without a secret', () => {
    expect(issues({ url: 'redis://:s3/cret@h' })).toEqual([
      expect.stringMatching(/^url: .*percent-encoded.*"password"/),
    ]);
    expect(issues({ url: 'redis://:s3/cret@h' }).join()).not.toMatch(/s3|cret@/);
    expect(issues({ tls: { caFile: 'ca.pem' } })).toEqual(['tls: is for a "url" that begins with rediss://']);
    expect(issues({ url: 'rediss://h', tls: { certFile: 'c' } })).toEqual([
      'tls: expected "certFile" and "keyFile" together',
    ]);
    expect(issues({ username: 'u' })).toEqual(['username: expected a password for the user']);
    expect(issues({ url: 'redis://u@h' })).toEqual(['username: expected a password for the user']);
    expect(issues({ prefix: 'w:' })).toEqual(['prefix: expected 1 to 32 letters, digits, . _ -']);
  });
});
