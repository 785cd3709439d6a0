-- Compare-and-set of orders into a hash, each by its version (invariant 3), one after another as they are given.
-- KEYS[1] hash, target -> order as JSON
-- ARGV[1] most fields the hash may have   then for each order: target, version, the order as JSON
-- Returns a list with one of {'written'}, {'same'}, {'stale', current version} or {'full', number of fields} for each.
local function put(target, version, text)
  local current = redis.call('HGET', KEYS[1], target)
  if current then
    if current == text then return { 'same' } end
    -- A record that cannot be read is worth less than any order.
    local ok, order = pcall(cjson.decode, current)
    local standing = ok and type(order) == 'table' and tonumber(order.version) or 0
    if standing >= tonumber(version) then return { 'stale', string.format('%.0f', standing) } end
  else
    local size = redis.call('HLEN', KEYS[1])
    if size >= tonumber(ARGV[1]) then return { 'full', tostring(size) } end
  end
  redis.call('HSET', KEYS[1], target, text)
  return { 'written' }
end

local results = {}
for i = 2, #ARGV, 3 do
  results[#results + 1] = put(ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
return results
