-- Forgets what was told, only if nothing newer has come meanwhile.
-- KEYS[1] string, the news   ARGV[1] the news as it was told
-- Returns 1 when it was forgotten, else 0.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
