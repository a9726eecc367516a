-- Read what follows a position, or a page.
-- KEYS: state, log
-- ARGV: epoch if the channel has none yet, life of the state (s), age, bytes (-1: no bound), how ('since' or 'page'), then
--       since: epoch, offset, tag, limit (-1: all);  page: offset (-1: none), limit, reverse (0 or 1)
-- Returns: epoch, offset, tag of the top; 1 or 0: whether it can be had; the entries of the log; 1 or 0: whether they
--          end because the bytes were reached
local STEP = 32 -- entries read at once where their bytes are bounded
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
local full = 0
local function answer(ok, entries) return {epoch, string.format('%d', top), tag, ok, entries, full} end
local time = redis.call('TIME')
local oldest = tonumber(time[1]) + time[2] / 1e6 - tonumber(state[4] or '0')
local function id(offset) return string.format('%d-0', offset) end
local function fresh(entry)
  local at = string.match(entry[2][2], '^P%S+ %S+ %S+ (%S+) ')
  return at and tonumber(at) > oldest
end

-- Entries in steps, so that what is not going to be answered is not copied either; no limit: -1
local function entries(command, from, to, limit)
  local room, found = tonumber(ARGV[4]), {}
  if room < 0 then
    if limit < 0 then return redis.call(command, KEYS[2], from, to) end
    return redis.call(command, KEYS[2], from, to, 'COUNT', limit)
  end
  while limit < 0 or #found < limit do
    local count = limit < 0 and STEP or math.min(STEP, limit - #found)
    local more = redis.call(command, KEYS[2], from, to, 'COUNT', count)
    for _, entry in ipairs(more) do
      room = room - #entry[2][2]
      if room < 0 and #found > 0 then
        full = 1
        return found
      end
      found[#found + 1] = entry
    end
    if #more < count then return found end
    from = '(' .. found[#found][1]
  end
  return found
end

if ARGV[5] == 'page' then
  local offset, limit = math.min(tonumber(ARGV[6]), top + 1), tonumber(ARGV[7]) -- no more than a stream's ids have
  if limit == 0 then return answer(1, {}) end
  local found
  if ARGV[8] == '1' then
    found = entries('XREVRANGE', offset < 0 and '+' or id(offset - 1), '-', limit)
    for i, entry in ipairs(found) do
      if not fresh(entry) then
        while #found >= i do table.remove(found) end
        break
      end
    end
    return answer(1, found)
  end
  local from = offset < 0 and '-' or id(offset + 1)
  found = entries('XRANGE', from, '+', limit)
  while #found > 0 and not fresh(found[1]) do
    local last = found[#found][1]
    while #found > 0 and not fresh(found[1]) do table.remove(found, 1) end
    if #found == 0 then found = entries('XRANGE', '(' .. last, '+', limit) end
  end
  return answer(1, found)
end

local offset, given, limit = tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
if ARGV[6] ~= epoch or offset > top or offset < 0 then return answer(0, {}) end
if offset == top then
  return answer((given == '' or given == tag) and 1 or 0, {})
end
local found = entries('XRANGE', id(offset + 1), '+', limit < 0 and limit or math.max(limit, 1))
local first = found[1]
if not first or first[1] ~= id(offset + 1) or not fresh(first) then return answer(0, {}) end
if given ~= '' then
  local has, info, tags, start = string.match(first[2][2], '^P%S+ %S+ (%S+) %S+ (%d+) (%d+)\n()')
  local data = string.sub(first[2][2], start + info + tags)
  if string.sub(redis.sha1hex(given .. data), 1, 12) ~= has then return answer(0, {}) end
end
return answer(1, found)
