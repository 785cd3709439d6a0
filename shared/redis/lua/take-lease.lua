-- Takes or renews the right to be the one worker of a host.
-- KEYS[1] lease   KEYS[2] integer, last epoch given out
-- ARGV[1] who asks: MACHINE#RUN, where MACHINE stands for the local lock that the asker holds   ARGV[2] TTL in ms   ARGV[3] the epoch held, or 0 to take it anew
-- Returns {'held', epoch} or {'other', epoch, milliseconds left}.
-- What no worker has written counts as nothing, or a host could be without one for ever: a lease that is not read as one,
-- or that never ends; an epoch that is no number.
local function read(key, without)
  local value = redis.pcall('GET', key)
  if not value then return without end
  return type(value) == 'string' and value or 'unreadable'
end
local epoch, owner = string.match(read(KEYS[1], ''), '^(%d+) (.*)$')
local leftMs = owner and redis.call('PTTL', KEYS[1]) or -1
if leftMs >= 0 then
  if owner == ARGV[1] then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return { 'held', epoch }
  end
  -- The owner held the same local lock as we hold now, so it is dead: a restart need not wait for its lease to end.
  local machine = string.match(ARGV[1], '^(.+)#')
  if not (machine and machine == string.match(owner, '^(.+)#')) then
    return { 'other', epoch, tostring(leftMs) }
  end
end
-- The lease ran out. Its owner may have it back under the same epoch only if nobody held it in between.
local last = read(KEYS[2], '0')
epoch = ARGV[3]
if epoch == '0' or epoch ~= last then
  -- Above whatever it may have been: seconds since 1970 are more than any count of workers.
  if not string.match(last, '^%d+$') or #last > 15 then redis.call('SET', KEYS[2], redis.call('TIME')[1]) end
  epoch = tostring(redis.call('INCR', KEYS[2]))
end
redis.call('SET', KEYS[1], epoch .. ' ' .. ARGV[1], 'PX', ARGV[2])
return { 'held', epoch }
