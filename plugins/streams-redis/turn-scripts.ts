import { RedisScript } from '#sdk/redis';

// The line of a conversation is a hash: of each reply its ticket, r where its turn has begun or w where it waits, and its node.
// Lines are short.

const line = `
local entries, count = {}, 0
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local ticket, state, node = string.match(all[at + 1], '^(%d+) (%a) (.*)$')
  entries[all[at]] = { ticket = tonumber(ticket), state = state, node = node }
  count = count + 1
end
local function drop(hash)
  redis.call('HDEL', KEYS[1], hash)
  entries[hash] = nil
end
`;

/**
 * Enters a line, or looks at the own place in it and writes that again where it is lost. The turn begins where none is before it.
 * ARGV: reply, node, ticket or '' for a new one (a reply that runs again keeps the one that it had), r or w, whether it may begin,
 * replies that may wait, time to live, a node whose entries are dropped or ''. Returns the number before it, whether its turn has
 * begun, its ticket, whether it was there, and the reply before all others with its node; -1 where the line is full, -2 where
 * another node has the reply.
 */
export const enterTurn = new RedisScript(`${line}
local hash, node, ticket, state, mayBegin, limit, ttl, lost = unpack(ARGV)
if lost ~= '' then
  for each, its in pairs(entries) do if its.node == lost and each ~= hash then drop(each) end end
end
local own = entries[hash]
local isThere = own ~= nil
if own and own.node ~= node and ticket ~= '' then return { -2 } end
if not own then
  if ticket == '' and count > tonumber(limit) then return { -1 } end
  local latest = 0
  for _, each in pairs(entries) do latest = math.max(latest, each.ticket) end
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  own = { ticket = tonumber(ticket) or math.max(now, latest + 1), state = state }
  entries[hash] = own
end
if state == 'r' then own.state = 'r' end
local ahead, first = 0, nil
for each, its in pairs(entries) do
  local isBefore = its.state == 'r' or its.ticket < own.ticket
  if each ~= hash and isBefore then
    ahead = ahead + 1
    if not first or its.state == 'r' or (entries[first].state ~= 'r' and its.ticket < entries[first].ticket) then
      first = each
    end
  end
end
if ahead == 0 and mayBegin == '1' and (isThere or ticket == '') then own.state = 'r' end
own.node = node
local text = string.format('%.0f', own.ticket)
redis.call('HSET', KEYS[1], hash, text .. ' ' .. own.state .. ' ' .. node)
redis.call('PEXPIRE', KEYS[1], ttl)
return { ahead, own.state == 'r' and 1 or 0, text, isThere and 1 or 0, first or '', first and entries[first].node or '' }`);

/** Leaves a line. ARGV: reply, node. Returns the nodes of those that are left. */
export const leaveTurn = new RedisScript(`${line}
local own = entries[ARGV[1]]
if not own or own.node ~= ARGV[2] then return {} end
drop(ARGV[1])
local nodes, seen = {}, {}
for _, its in pairs(entries) do
  if not seen[its.node] then
    seen[its.node] = true
    nodes[#nodes + 1] = its.node
  end
end
return nodes`);
