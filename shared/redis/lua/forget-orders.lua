-- Removes records that are past their end, each only if it is still the one that was looked at.
-- KEYS[1] hash, target -> order as JSON   KEYS[2] (fleet only) sorted set, target by revision
-- ARGV: pairs of target and the record as it was read
-- Returns how many were removed.
local removed = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    removed = removed + redis.call('HDEL', KEYS[1], ARGV[i])
    if KEYS[2] then redis.call('ZREM', KEYS[2], ARGV[i]) end
  end
end
return removed
