import { RedisScript } from '#sdk/redis';

// A claim is a hash: n the node, g a generation that rises with each claim, at the time of the claim by the node's clock. A
// released one is kept for a while with an empty n, so that generations go on and an old message cannot end a new claim.

/** ARGV: node, at, time to live. Returns the generation and the node before, or ''. */
export const takeClaim = new RedisScript(`
local before = redis.call('HGET', KEYS[1], 'n')
local g = redis.call('HINCRBY', KEYS[1], 'g', 1)
redis.call('HSET', KEYS[1], 'n', ARGV[1], 'at', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { g, before or '' }`);

/**
 * Writes a claim again after an outage, or keeps it from expiring. ARGV: node, at, time to live, generation or 0. Returns the
 * generation and the node before, or 0 and the node that holds it now.
 */
export const keepClaim = new RedisScript(`
local have = redis.call('HMGET', KEYS[1], 'n', 'g', 'at')
local n, g, at = have[1] or '', tonumber(have[2] or '0'), tonumber(have[3] or '0')
local own = tonumber(ARGV[4])
if n == ARGV[1] and own > 0 and g == own then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return { g, '' }
end
if (own > 0 and g > own) or (n ~= '' and at > tonumber(ARGV[2])) then
  return { 0, n }
end
g = math.max(g, own) + 1
redis.call('HSET', KEYS[1], 'n', ARGV[1], 'g', g, 'at', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { g, n }`);

/** ARGV: node, generation, time to live of the rest. */
export const releaseClaim = new RedisScript(`
local have = redis.call('HMGET', KEYS[1], 'n', 'g')
if have[1] == ARGV[1] and have[2] == ARGV[2] then
  redis.call('HSET', KEYS[1], 'n', '')
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 0`);
