-- Compare-and-set of one account's ledger, by revision: who judged upon what is no longer there judges anew.
-- KEYS[1] hash, the ledger of one account
-- ARGV[1] the revision that was read, 0 for none   ARGV[2] TTL in ms   ARGV[3] number of fields to set
-- ARGV[4...] pairs of field and value to set, then fields to remove
-- Returns {'written', new revision} or {'stale', current revision}.
local current = redis.call('HGET', KEYS[1], 'revision') or '0'
if current ~= ARGV[1] then return { 'stale', current } end
local first = 4
local past = first + 2 * tonumber(ARGV[3])
-- One by one: unpack() has a bound that a large account would meet.
for i = first, past - 1, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = past, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
local revision = string.format('%.0f', (tonumber(current) or 0) + 1)
redis.call('HSET', KEYS[1], 'revision', revision)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { 'written', revision }
