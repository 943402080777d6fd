import { RedisScript } from '#sdk/redis';

// A user has a hash m (n the last number, u the last time), a list l of conversations by their time, and for each
// conversation a hash c (id, title, renamed, count, chars, last number, at) and a stream x of messages, whose ids are
// their numbers. All of them live as long as the conversation; m and l a day longer than the last one.

const live = `
local function live(ttl)
  redis.call('PEXPIRE', KEYS[3], ttl)
  redis.call('PEXPIRE', KEYS[4], ttl)
  redis.call('PEXPIRE', KEYS[1], ttl + 86400000)
  redis.call('PEXPIRE', KEYS[2], ttl + 86400000)
end
local function micros()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local function text(number) return string.format('%.0f', number) end
`;

const drop = `
local function drop(hash)
  redis.call('UNLINK', KEYS[3], KEYS[4])
  redis.call('ZREM', KEYS[2], hash)
end
`;

/**
 * ARGV: hash, id, title, messages and characters of the limits, time to live, id of the turn or '', then of each message its
 * JSON, size and role. Before those the number from which on messages are removed, and the number that the latest message
 * must have, or ''. Returns the characters of the conversation; 0 where nothing is left of it, -1 where another one is the latest.
 */
export const appendTurn = new RedisScript(`${live}${drop}
local hash, id, title, turn = ARGV[1], ARGV[2], ARGV[3], ARGV[7]
local maxMessages, maxChars, ttl = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local head = redis.call('HMGET', KEYS[3], 'title', 'count', 'chars', 'last')
local count, chars = tonumber(head[2] or '0'), tonumber(head[3] or '0')
if ARGV[9] ~= '' then
  local latest = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)[1]
  if not latest or latest[1] ~= ARGV[9] .. '-0' then return -1 end
end
if ARGV[8] ~= '' then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[4], ARGV[8] .. '-0', '+')) do
    redis.call('XDEL', KEYS[4], entry[1])
    count, chars = count - 1, chars - tonumber(entry[2][4])
  end
end
if turn ~= '' then
  for _, entry in ipairs(redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 64)) do
    if entry[2][7] == 't' and entry[2][8] == turn then return chars end
  end
end
local user = redis.call('HMGET', KEYS[1], 'n', 'u')
local number = math.max(tonumber(user[1] or '0'), tonumber(head[4] or '0'))
local now = micros()
local updated = math.max(math.floor(now / 1000), tonumber(user[2] or '0') + 1)
for at = 10, #ARGV, 3 do
  number = number + 1
  local fields = { 'm', ARGV[at], 'c', ARGV[at + 1], 'r', ARGV[at + 2] }
  if turn ~= '' then fields[7], fields[8] = 't', turn end
  redis.call('XADD', KEYS[4], text(number) .. '-0', unpack(fields))
  count, chars = count + 1, chars + tonumber(ARGV[at + 1])
end
redis.call('HSET', KEYS[1], 'n', text(number), 'u', text(updated))
local cut = count > maxMessages or chars > maxChars
while cut and count > 0 do
  local oldest = redis.call('XRANGE', KEYS[4], '-', '+', 'COUNT', 1)[1]
  if count <= maxMessages and chars <= maxChars and oldest[2][6] == 'u' then break end
  redis.call('XDEL', KEYS[4], oldest[1])
  count, chars = count - 1, chars - tonumber(oldest[2][4])
end
if count == 0 then
  drop(hash)
  return 0
end
local name = head[1] or ''
if name == '' then name = title end
redis.call('HSET', KEYS[3], 'id', id, 'title', name, 'count', count, 'chars', text(chars), 'last', text(number), 'at', text(now))
redis.call('ZADD', KEYS[2], updated, hash)
live(ttl)
return chars`);

/** ARGV: hash, messages to look through, then the JSON of each message. Returns the characters; -1 for an unknown conversation. */
export const retractTurn = new RedisScript(`${drop}
local head = redis.call('HMGET', KEYS[3], 'count', 'chars')
if not head[1] then return -1 end
local count, chars = tonumber(head[1]), tonumber(head[2])
local last = #ARGV
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', ARGV[2])) do
  if last < 3 then break end
  if entry[2][2] == ARGV[last] then
    last = last - 1
    redis.call('XDEL', KEYS[4], entry[1])
    count, chars = count - 1, chars - tonumber(entry[2][4])
  end
end
if count == 0 then
  drop(ARGV[1])
  return 0
end
redis.call('HSET', KEYS[3], 'count', count, 'chars', string.format('%.0f', chars))
return chars`);

/** ARGV: the number to begin below or '+', the count, time to live. Returns numbers and messages, the latest first. */
export const readMessages = new RedisScript(`${live}
if redis.call('EXISTS', KEYS[3]) == 0 then return {} end
live(tonumber(ARGV[3]))
local found = {}
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[4], ARGV[1], '-', 'COUNT', ARGV[2])) do
  found[#found + 1] = entry[1]
  found[#found + 1] = entry[2][2]
end
return found`);

/** ARGV: title, time to live. Returns whether the conversation exists. */
export const renameConversation = new RedisScript(`${live}
if redis.call('EXISTS', KEYS[3]) == 0 then return 0 end
local renamed = ''
if ARGV[1] ~= '' then renamed = redis.call('HINCRBY', KEYS[1], 'n', 1) end
redis.call('HSET', KEYS[3], 'title', ARGV[1], 'renamed', renamed)
live(tonumber(ARGV[2]))
return 1`);

/** ARGV: hash, and the time in microseconds after which it must not have grown, or ''. Returns whether it existed. */
export const removeConversation = new RedisScript(`${drop}
local at = redis.call('HGET', KEYS[3], 'at')
if at and ARGV[2] ~= '' and tonumber(at) > tonumber(ARGV[2]) then return 0 end
drop(ARGV[1])
return at and 1 or 0`);

/**
 * KEYS: list. ARGV: the beginning of the keys, the time to begin below, the count. Returns hash, id, title, renamed, count, last
 * number and time of each conversation, the latest first.
 */
export const listConversations = new RedisScript(`
local found, before, left = {}, ARGV[2], tonumber(ARGV[3])
while left > 0 do
  local page = redis.call('ZREVRANGEBYSCORE', KEYS[1], before, '-inf', 'WITHSCORES', 'LIMIT', 0, 100)
  if #page == 0 then break end
  for at = 1, #page, 2 do
    local head = redis.call('HMGET', ARGV[1] .. 'c:' .. page[at], 'id', 'title', 'renamed', 'count', 'last')
    before = '(' .. page[at + 1]
    if not head[1] then
      redis.call('ZREM', KEYS[1], page[at])
    elseif left > 0 then
      left = left - 1
      for _, each in ipairs({ page[at], head[1], head[2], head[3] or '', head[4], head[5], page[at + 1] }) do
        found[#found + 1] = each
      end
    end
  end
end
return found`);

/**
 * The books over all users. KEYS: uses, sizes, total. ARGV: member, its characters, conversations and characters of the
 * limits, time to live, 'use' where this counts as use. Returns pairs of members to remove, and
 * the times of their last use in microseconds.
 */
export const keepBooks = new RedisScript(`${live}
local member, chars = ARGV[1], tonumber(ARGV[2])
local maxConversations, maxChars, ttl = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now = micros()
local function size(of, is)
  local was = tonumber(redis.call('HGET', KEYS[2], of) or '0')
  -- First, as a server without memory refuses it: then nothing is changed.
  local total = tonumber(redis.call('INCRBY', KEYS[3], text(is - was)))
  if is == 0 then
    redis.call('ZREM', KEYS[1], of)
    redis.call('HDEL', KEYS[2], of)
  else
    if ARGV[6] == 'use' then redis.call('ZADD', KEYS[1], now, of) else redis.call('ZADD', KEYS[1], 'NX', now, of) end
    redis.call('HSET', KEYS[2], of, text(is))
  end
  return total
end
local total = size(member, chars)
local gone = {}
local function remove(entry)
  total = size(entry[1], 0)
  gone[#gone + 1] = entry[1]
  gone[#gone + 1] = entry[2]
end
for _ = 1, 100 do
  local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  if #oldest == 0 then break end
  local isExpired = tonumber(oldest[2]) <= now - ttl * 1000
  local count = redis.call('ZCARD', KEYS[1])
  local isOver = count > 1 and (count > maxConversations or total > maxChars)
  if not (isExpired or isOver) then break end
  remove(oldest)
end
return gone`);

/** KEYS: uses. ARGV: member. Counts as use. */
export const noteUse = new RedisScript(`${live}
return redis.call('ZADD', KEYS[1], 'XX', text(micros()), ARGV[1])`);
