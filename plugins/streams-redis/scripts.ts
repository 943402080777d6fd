import { RedisScript } from '#sdk/redis';

// The first field of the value of a request is the hash of its reply.
const ofRequest = `
local function hashIn(value) return value and string.match(value, '^[^ ]+') end
local function lastId(log)
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  return last and last[1]
end
local function seqOf(id) return id and tonumber(string.match(id, '%d+$')) or 0 end
local function epochOf(id) return id and tonumber(string.match(id, '^%d+')) or 0 end
`;

/**
 * Begins a reply, or gives the value of the request where it has one that can be read.
 * KEYS: meta, log, owned, command, request if any. ARGV: hash, ttl, user, conversation, node, hash of the key, value of the
 * request, command, the name of a meta key without its hash, sealed id of the request
 */
export const beginScript = new RedisScript(`${ofRequest}
local meta, log, owned, command, request = unpack(KEYS)
if request then
  local known = redis.call('GET', request)
  if known and redis.call('EXISTS', ARGV[9] .. hashIn(known)) == 1 then return known end
end
if redis.call('EXISTS', meta) == 1 then return false end
redis.call('HSET', meta, 'u', ARGV[3], 'c', ARGV[4], 'n', ARGV[5], 'e', 1, 's', 'waits', 'q', ARGV[6], 'i', ARGV[10])
redis.call('XADD', log, '1-0', 'd', '[0,0,[]]')
redis.call('SADD', owned, ARGV[1])
redis.call('PEXPIRE', meta, ARGV[2])
redis.call('PEXPIRE', log, ARGV[2])
if request then redis.call('SET', request, ARGV[7], 'PX', ARGV[2]) end
if ARGV[8] ~= '' then redis.call('SET', command, ARGV[8], 'PX', ARGV[2]) end
return false
`);

/**
 * Marks a reply whose log is whole as ended; 0 where it is not whole, -1 where another node owns it.
 * KEYS: meta, log, owned, command, request if any. ARGV: hash, keepMs, node, id of the last entry, whether it is answered
 */
export const endScript = new RedisScript(`${ofRequest}
local meta, log, owned, command, request = unpack(KEYS)
local owner = redis.call('HGET', meta, 'n')
if owner and owner ~= ARGV[3] then return -1 end
if not owner or lastId(log) ~= ARGV[4] then return 0 end
redis.call('HSET', meta, 's', 'ended')
redis.call('PEXPIRE', meta, ARGV[2])
redis.call('PEXPIRE', log, ARGV[2])
redis.call('SREM', owned, ARGV[1])
redis.call('DEL', command)
if request and hashIn(redis.call('GET', request)) == ARGV[1] then
  if ARGV[5] == '1' then redis.call('PEXPIRE', request, ARGV[2]) else redis.call('DEL', request) end
end
return 1
`);

/**
 * Writes a reply again that the engine has lost, or has only a part of; -1 where another node owns it, 0 where a later entry has
 * overtaken this one, as the first run of a script takes longer.
 * KEYS: meta, log, owned, request if any. ARGV: hash, ttl, user, conversation, node, hash of the key, value of the request,
 * epoch, id of the entry, entry, state, sealed id of the request
 */
export const restoreScript = new RedisScript(`${ofRequest}
local meta, log, owned, request = unpack(KEYS)
local owner = redis.call('HGET', meta, 'n')
local last = lastId(log)
if (owner and owner ~= ARGV[5]) or epochOf(last) > tonumber(ARGV[8]) then return -1 end
if epochOf(last) == tonumber(ARGV[8]) and seqOf(last) >= seqOf(ARGV[9]) then return 0 end
redis.call('HSET', meta, 'u', ARGV[3], 'c', ARGV[4], 'n', ARGV[5], 'e', ARGV[8], 's', ARGV[11], 'q', ARGV[6], 'i', ARGV[12])
redis.call('XADD', log, ARGV[9], 'd', ARGV[10])
redis.call('SADD', owned, ARGV[1])
redis.call('PEXPIRE', meta, ARGV[2])
redis.call('PEXPIRE', log, ARGV[2])
if request then redis.call('SET', request, ARGV[7], 'PX', ARGV[2], 'NX') end
return 1
`);

/** Drops a reply. KEYS: meta, log, owned, command, request if any. ARGV: hash, node */
export const forgetScript = new RedisScript(`${ofRequest}
local meta, log, owned, command, request = unpack(KEYS)
local owner = redis.call('HGET', meta, 'n')
if owner and owner ~= ARGV[2] then return 0 end
redis.call('UNLINK', meta, log, command)
redis.call('SREM', owned, ARGV[1])
if request and hashIn(redis.call('GET', request)) == ARGV[1] then redis.call('DEL', request) end
return 1
`);

/** The owner of a reply, and the id of the last entry of its log. KEYS: meta, log */
export const ownerScript = new RedisScript(`${ofRequest}
return { redis.call('HGET', KEYS[1], 'n'), lastId(KEYS[2]) or false }
`);

/**
 * Takes a reply of a lost node over. Gives nothing where that is not needed any more, else the epoch, the request where no
 * content has left the lost node, and the value of its request id.
 * KEYS: meta, log, owned of the lost node, owned of this one, command. ARGV: hash, lost node, this node, ttl, keepMs, error as the
 * end of an entry, the name of a request key without its hash
 */
export const takeOverScript = new RedisScript(`${ofRequest}
local meta, log, owned, mine, command = unpack(KEYS)
local owner, state, epoch, key, sealed, cancelled = unpack(redis.call('HMGET', meta, 'n', 's', 'e', 'q', 'i', 'x'))
redis.call('SREM', owned, ARGV[1])
if owner ~= ARGV[2] or state == 'ended' then return false end
local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
epoch = math.max(tonumber(epoch) or 0, epochOf(last and last[1])) + 1
local request = key and key ~= '' and (ARGV[7] .. key)
local value = request and redis.call('GET', request)
if value and hashIn(value) ~= ARGV[1] then value = false end
local asked = state == 'waits' and not cancelled and redis.call('GET', command)
redis.call('HSET', meta, 'n', ARGV[3], 'e', epoch)
if asked then
  redis.call('XADD', log, epoch .. '-0', 'd', '[0,0,[]]')
  redis.call('SADD', mine, ARGV[1])
  redis.call('PEXPIRE', meta, ARGV[4])
  redis.call('PEXPIRE', log, ARGV[4])
  return { epoch, asked, value or '', key or '', sealed or '' }
end
local position = last and string.match(last[2][2], '^%[(%d+)') or '0'
redis.call('XADD', log, epoch .. '-0', 'd', '[' .. position .. ARGV[6])
redis.call('HSET', meta, 's', 'ended')
redis.call('PEXPIRE', meta, ARGV[5])
redis.call('PEXPIRE', log, ARGV[5])
redis.call('DEL', command)
if value then redis.call('DEL', request) end
return { epoch, '', '', '', '' }
`);

export const scripts = [beginScript, endScript, restoreScript, forgetScript, ownerScript, takeOverScript];
