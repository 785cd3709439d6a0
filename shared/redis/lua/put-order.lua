-- Compare-and-set of one order into a hash, by version (invariant 3).
-- KEYS[1] hash, target -> order as JSON
-- ARGV[1] target   ARGV[2] version   ARGV[3] the order as JSON   ARGV[4] most fields the hash may have
-- Returns {'written'}, {'same'}, {'stale', current version} or {'full', number of fields}.
local current = redis.call('HGET', KEYS[1], ARGV[1])
if current then
  if current == ARGV[3] then return { 'same' } end
  -- A record that cannot be read is worth less than any order.
  local ok, order = pcall(cjson.decode, current)
  local version = ok and type(order) == 'table' and tonumber(order.version) or 0
  if version >= tonumber(ARGV[2]) then return { 'stale', string.format('%.0f', version) } end
else
  local size = redis.call('HLEN', KEYS[1])
  if size >= tonumber(ARGV[4]) then return { 'full', tostring(size) } end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return { 'written' }
