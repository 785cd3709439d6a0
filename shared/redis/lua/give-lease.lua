-- Gives the lease back, if it is still ours.
-- KEYS[1] lease   ARGV[1] who asks
-- Returns 1 if it was given back, else 0.
local current = redis.call('GET', KEYS[1])
if current and string.match(current, '^%d+ (.*)$') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
