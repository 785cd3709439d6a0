-- Compare-and-set of one fleet order, by version, and a note of the revision at which it changed.
-- KEYS[1] hash, target -> order as JSON   KEYS[2] sorted set, target by revision   KEYS[3] integer, last revision
-- ARGV[1] target   ARGV[2] version   ARGV[3] the order as JSON   ARGV[4] most fields the hash may have
-- Returns {'written'}, {'same'}, {'stale', current version} or {'full', number of fields}.
local current = redis.call('HGET', KEYS[1], ARGV[1])
if current then
  if current == ARGV[3] then return { 'same' } end
  local ok, order = pcall(cjson.decode, current)
  local version = ok and type(order) == 'table' and tonumber(order.version) or 0
  if version >= tonumber(ARGV[2]) then return { 'stale', string.format('%.0f', version) } end
else
  local size = redis.call('HLEN', KEYS[1])
  if size >= tonumber(ARGV[4]) then return { 'full', tostring(size) } end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
-- Revisions are microseconds of the clock and not a count, so that after a flush they go on above what workers know;
-- counted from one again, they would soon reach a worker's number and hide from it what had changed.
local now = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[3]) or '0') or 0
local revision = string.format('%.0f', math.max(last + 1, now[1] * 1000000 + now[2]))
redis.call('SET', KEYS[3], revision)
redis.call('ZADD', KEYS[2], revision, ARGV[1])
return { 'written' }
