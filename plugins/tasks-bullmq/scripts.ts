import { RedisScript } from '#sdk/redis';

// What BullMQ has no command for, on its own keys: they are those of version 6.7, and `test/redis/tasks.test.ts` shows that they fit.

/**
 * Ends a job that waits as cancelled, in one step: another node may take it, or have ended it. Returns 1 if it did, 0 if the job
 * is running, 2 if it has ended, 3 if there is none. Keys: prioritized, delayed, wait, completed, the job.
 */
export const cancelWaiting = new RedisScript(`
local id = ARGV[1]
if redis.call('EXISTS', KEYS[5]) == 0 then return 3 end
if redis.call('HEXISTS', KEYS[5], 'finishedOn') == 1 then return 2 end
if redis.call('ZREM', KEYS[1], id) + redis.call('ZREM', KEYS[2], id) + redis.call('LREM', KEYS[3], 0, id) == 0 then return 0 end
redis.call('HSET', KEYS[5], 'returnvalue', ARGV[2], 'finishedOn', ARGV[3])
redis.call('ZADD', KEYS[4], ARGV[3], id)
return 1`);

/**
 * Locks a running job again whose lock has expired while Redis was away, unless another node has it or has ended it: 0. Returns 2
 * where there is no such job, as Redis has lost it. Keys: active, the lock, stalled, the job.
 */
export const lockAgain = new RedisScript(`
if redis.call('EXISTS', KEYS[4]) == 0 then return 2 end
local token = redis.call('GET', KEYS[2])
if token and token ~= ARGV[2] then return 0 end
if not redis.call('LPOS', KEYS[1], ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('SREM', KEYS[3], ARGV[1])
return 1`);

/** Lets the job that has waited longest go first: of each priority it looks at the head. Key: prioritized. */
export const raiseOldest = new RedisScript(`
local span = 4294967296
local oldest, counter
for priority = 1, tonumber(ARGV[1]) do
  local head = redis.call('ZRANGEBYSCORE', KEYS[1], priority * span, '(' .. string.format('%.0f', (priority + 1) * span), 'WITHSCORES', 'LIMIT', 0, 1)
  if head[1] then
    local own = tonumber(head[2]) % span
    if not counter or own < counter then oldest, counter = head[1], own end
  end
end
if oldest then redis.call('ZADD', KEYS[1], span + counter, oldest) end
return oldest`);

/** Takes a key over from a run that has failed or is gone. Key: the key of the request. */
export const replaceKey = new RedisScript(`
local found = redis.call('GET', KEYS[1])
if found and found ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`);
