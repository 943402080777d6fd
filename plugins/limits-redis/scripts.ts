import { RedisScript } from '#sdk/redis';

// A window is a hash that lives until its end: e the end, n what is counted, r a number that rises with each change, and t:<id>
// for each reservation that is not settled. All times are those of the server.

/** ARGV 1 to 3: e, n and r as the caller has seen them last, 0 for none. The highest count that is known holds. */
const opened = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(number) return string.format('%.0f', number) end
local have = redis.call('HMGET', KEYS[1], 'e', 'n', 'r')
local e, n, r = tonumber(have[1] or '0'), tonumber(have[2] or '0'), tonumber(have[3] or '0')
local seenE, seenN, seenR = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local isLost = seenE > now and (e ~= seenE or r < seenR)
if isLost then
  if e == 0 then e = seenE end
  n, r = math.max(n, seenN), math.max(r, seenR)
end
local function keep()
  redis.call('HSET', KEYS[1], 'e', text(e), 'n', text(n), 'r', text(r))
  redis.call('PEXPIREAT', KEYS[1], text(e))
end
`;

/**
 * Adds points unless that exceeds the limit. ARGV 4 to 7: points, limit, length of a window, id of the reservation or ''. Returns
 * whether they were taken, n, e, r and the time.
 */
export const takePoints = new RedisScript(`${opened}
local points, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
local isTaken = n + points <= limit
if isTaken and points > 0 then
  if e == 0 then e = now + tonumber(ARGV[6]) end
  n, r = n + points, r + 1
  keep()
  if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 't:' .. ARGV[7], ARGV[4]) end
elseif isLost then
  keep()
end
return { isTaken and 1 or 0, text(n), text(e), text(r), text(now) }`);

/** Replaces what is reserved by what was used, once. ARGV 4 and 5: id of the reservation, points used. Returns the same. */
export const settlePoints = new RedisScript(`${opened}
local field = 't:' .. ARGV[4]
local reserved = redis.call('HGET', KEYS[1], field)
if reserved then
  n, r = n - tonumber(reserved) + tonumber(ARGV[5]), r + 1
  redis.call('HDEL', KEYS[1], field)
end
if reserved or isLost then keep() end
return { reserved and 1 or 0, text(n), text(e), text(r), text(now) }`);

// The places of a user are a sorted set of ids, by the ends of their leases.

const places = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function hold(id, leaseMs)
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + leaseMs), id)
end
`;

/** Takes a place unless all are taken. ARGV: limit, length of a lease, id or '' to count only. Returns whether, and the number of those taken. */
export const takePlace = new RedisScript(`${places}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local count = redis.call('ZCARD', KEYS[1])
if ARGV[3] == '' then return { 0, count } end
local isHeld = redis.call('ZSCORE', KEYS[1], ARGV[3])
if not isHeld and count >= tonumber(ARGV[1]) then return { 0, count } end
hold(ARGV[3], tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { 1, isHeld and count or count + 1 }`);

/** Renews leases, and writes those again that are lost. ARGV: length of a lease, then ids */
export const renewPlaces = new RedisScript(`${places}
for at = 2, #ARGV do hold(ARGV[at], tonumber(ARGV[1])) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 0`);

export const scripts = [takePoints, settlePoints, takePlace, renewPlaces];
