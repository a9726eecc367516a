-- Read what follows a position, or a page.
-- KEYS: state, log
-- ARGV: epoch if the channel has none yet, life of the state (s), age, how ('since' or 'page'), then
--       since: epoch, offset, tag, limit (-1: all);  page: offset (-1: none), limit, reverse (0 or 1)
-- Returns: epoch, offset, tag of the top; 1 or 0: whether it can be had; the entries of the log
local state = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'tag', 'ttl', 'age')
local epoch, top, tag = state[1], tonumber(state[2] or '0'), state[3] or ''
if not epoch then
  epoch = ARGV[1]
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', '0', 'tag', '', 'age', ARGV[3])
  redis.call('EXPIRE', KEYS[1], ARGV[2])
elseif tonumber(state[5] or '0') < tonumber(ARGV[3]) then -- it may lack its end, see publish.lua
  epoch = ARGV[1]
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'age', ARGV[3])
end
local function answer(ok, entries) return {epoch, string.format('%d', top), tag, ok, entries} end
local time = redis.call('TIME')
local oldest = tonumber(time[1]) + time[2] / 1e6 - tonumber(state[4] or '0')
local function id(offset) return string.format('%d-0', offset) end
local function fresh(entry)
  local at = string.match(entry[2][2], '^P%S+ %S+ %S+ (%S+) ')
  return at and tonumber(at) > oldest
end

if ARGV[4] == 'page' then
  local offset, limit = tonumber(ARGV[5]), tonumber(ARGV[6])
  if limit == 0 then return answer(1, {}) end
  local found
  if ARGV[7] == '1' then
    found = redis.call('XREVRANGE', KEYS[2], offset < 0 and '+' or id(offset - 1), '-', 'COUNT', limit)
    for i, entry in ipairs(found) do
      if not fresh(entry) then
        while #found >= i do table.remove(found) end
        break
      end
    end
    return answer(1, found)
  end
  local from = offset < 0 and '-' or id(offset + 1)
  found = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', limit)
  while #found > 0 and not fresh(found[1]) do
    local last = found[#found][1]
    while #found > 0 and not fresh(found[1]) do table.remove(found, 1) end
    if #found == 0 then found = redis.call('XRANGE', KEYS[2], '(' .. last, '+', 'COUNT', limit) end
  end
  return answer(1, found)
end

local offset, given, limit = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
if ARGV[5] ~= epoch or offset > top or offset < 0 then return answer(0, {}) end
if offset == top then
  return answer((given == '' or given == tag) and 1 or 0, {})
end
local found
if limit < 0 then
  found = redis.call('XRANGE', KEYS[2], id(offset + 1), '+')
else
  found = redis.call('XRANGE', KEYS[2], id(offset + 1), '+', 'COUNT', math.max(limit, 1))
end
local first = found[1]
if not first or first[1] ~= id(offset + 1) or not fresh(first) then return answer(0, {}) end
if given ~= '' then
  local has, info, tags, start = string.match(first[2][2], '^P%S+ %S+ (%S+) %S+ (%d+) (%d+)\n()')
  local data = string.sub(first[2][2], start + info + tags)
  if string.sub(redis.sha1hex(given .. data), 1, 12) ~= has then return answer(0, {}) end
end
return answer(1, found)
