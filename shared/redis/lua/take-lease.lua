-- Takes or renews the right to be the one worker of a host.
-- KEYS[1] lease   KEYS[2] integer, last epoch given out
-- ARGV[1] who asks: MACHINE#RUN, where MACHINE stands for the local lock that the asker holds   ARGV[2] TTL in ms   ARGV[3] the epoch held, or 0 to take it anew
-- Returns {'held', epoch} or {'other', epoch, milliseconds left}.
local current = redis.call('GET', KEYS[1])
if current then
  local epoch, owner = string.match(current, '^(%d+) (.*)$')
  if owner == ARGV[1] then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return { 'held', epoch }
  end
  -- The owner held the same local lock as we hold now, so it is dead: a restart need not wait for its lease to end.
  local machine = string.match(ARGV[1], '^(.+)#')
  if not (machine and owner and machine == string.match(owner, '^(.+)#')) then
    return { 'other', epoch or '0', tostring(redis.call('PTTL', KEYS[1])) }
  end
end
-- The lease ran out. Its owner may have it back under the same epoch only if nobody held it in between.
local last = redis.call('GET', KEYS[2]) or '0'
local epoch = ARGV[3]
if epoch == '0' or epoch ~= last then epoch = tostring(redis.call('INCR', KEYS[2])) end
redis.call('SET', KEYS[1], epoch .. ' ' .. ARGV[1], 'PX', ARGV[2])
return { 'held', epoch }
