import { describe, expect, it } from 'vitest';
import { WaggleError } from '#kernel';
import { checkServer, engineError, loadRedis, redisFault } from '#sdk/redis';
import { rejection } from '../../../support/kernel.js';

const coded = (code: string, message = 'x') => Object.assign(new Error(message), { code });

describe('an error of Redis', () => {
  it.each([
    [new Error('WRONGPASS invalid username-password pair or user is disabled.'), /user and password/, true],
    [new Error('NOAUTH Authentication required.'), /asks for a password/, true],
    [new Error("NOPERM this user has no permissions to run the 'info' command"), /may not do this/, true],
    [new Error('READONLY You can’t write against a read only replica.'), /is a replica/, false],
    [new Error('OOM command not allowed when used memory > maxmemory.'), /no memory left/, false],
    [new Error('LOADING Redis is loading the dataset in memory'), /still loading/, false],
    [new Error('MISCONF Redis is configured to save RDB snapshots'), /cannot save to its disk/, false],
    [new Error('MOVED 3999 127.0.0.1:6381'), /Redis Cluster, which is not supported/, true],
    [new Error("ERR unknown command 'HELLO', with args"), /older than 6.2/, true],
    [new Error('ERR DB index is out of range'), /no database of this number/, true],
    [new Error('Unknown RESP type 72 "H"'), /something else than Redis/, true],
    [new Error('DENIED Redis is running in protected mode'), /protected mode/, true],
    [coded('ECONNREFUSED'), /nothing listens there/, false],
    [coded('ENOTFOUND'), /name of its host/, false],
    [coded('EACCES'), /may not open its socket/, true],
    [coded('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'), /set "tls.caFile"/, true],
    [
      coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to verify the first certificate'),
      /set "tls.caFile"/,
      true,
    ],
    [coded('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'SSL alert number 116'), /"tls.certFile"/, true],
    [coded('CERT_HAS_EXPIRED', 'certificate has expired'), /has expired/, true],
    [new Error('The queue is full'), /too much waits/, false],
    [new Error('Socket closed unexpectedly'), /connection is lost/, false],
  ])('%s is said in words', (error, words, isLasting) => {
    expect(redisFault(error)).toMatchObject({ why: expect.stringMatching(words), isLasting });
    const shown = engineError(error) as WaggleError;
    expect(shown).toMatchObject({ code: 'ENGINE_UNAVAILABLE', cause: error, retryAfterMs: 1000 });
    expect(shown.message).not.toMatch(/127\.0\.0\.1|'info'/);
  });

  it.each([
    new Error('WRONGTYPE Operation against a key holding the wrong kind of value'),
    new Error('ERR syntax error'),
    new TypeError('Cannot read properties of undefined'),
    new WaggleError('INTERNAL', {}),
    undefined,
  ])('%s is a mistake of this program, and stays what it is', (error) => {
    expect(redisFault(error)).toBeUndefined();
    expect(engineError(error)).toBe(error);
  });
});

describe('a server', () => {
  const info = (more: object = {}) =>
    Object.entries({
      redis_version: '7.0.15',
      redis_mode: 'standalone',
      role: 'master',
      maxmemory_policy: 'noeviction',
      ...more,
    })
      .map((line) => line.join(':'))
      .join('\r\n');
  it('is taken from 6.2 on, as long as it keeps what it is given', () => {
    for (const version of ['6.2.0', '7.0.15', '8.2.1', '10.0'])
      checkServer(info({ redis_version: version }), 'h', false);
    checkServer(info({ maxmemory_policy: 'volatile-lru' }), 'h', true);
  });

  it.each([
    [{ redis_version: '6.0.16' }, /cannot use the engine at h: it is version 6.0.16, and 6.2 or later/],
    [{ redis_version: '5' }, /version 5,/],
    [{ redis_version: '' }, /version unknown/],
    [{ redis_mode: 'cluster' }, /is a Redis Cluster/],
    [{ maxmemory_policy: 'volatile-lru' }, /maxmemory-policy volatile-lru/],
    [{ role: 'slave' }, /READONLY/],
  ])('with %o is refused', (more, words) => {
    expect(() => checkServer(info(more), 'h', false)).toThrow(words);
  });
});

describe('the client library', () => {
  it('is asked for by name, with its version, where it is missing', async () => {
    const error = await rejection(loadRedis(() => Promise.reject(coded('ERR_MODULE_NOT_FOUND'))));
    expect(error).toMatchObject({
      code: 'ENGINE_UNUSABLE',
      message:
        'cannot use the engine at Redis: the package @redis/client is not installed: npm install @redis/client@6.3.1',
    });
    expect(await rejection(loadRedis(() => Promise.reject(new SyntaxError('x'))))).toMatchObject({
      code: 'ENGINE_UNUSABLE',
      cause: expect.any(SyntaxError),
    });
  });
});
