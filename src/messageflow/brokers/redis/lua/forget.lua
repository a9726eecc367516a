-- Begin a new epoch, if the stream has lost what somebody has seen: it stands below it, or went on without it.
-- KEYS: state, log
-- ARGV: epoch, offset and tag that were seen, the new epoch
-- Returns: 1 if it did, else 0
local state = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'tag')
if state[1] ~= ARGV[1] then return 0 end
local top, seen = tonumber(state[2] or '0'), tonumber(ARGV[2])
local function entry(offset)
  local id = string.format('%d-0', offset)
  local found = redis.call('XRANGE', KEYS[2], id, id)[1]
  if not found then return nil end
  local tag, info, tags, start = string.match(found[2][2], '^P%S+ %S+ (%S+) %S+ (%d+) (%d+)\n()')
  return tag, start and string.sub(found[2][2], start + info + tags)
end
local lost = top < seen
if top == seen then lost = state[3] ~= ARGV[3] end
if top > seen then
  local tag = entry(seen)
  if tag then
    lost = tag ~= ARGV[3]
  else
    local following, data = entry(seen + 1)
    lost = following ~= nil and string.sub(redis.sha1hex(ARGV[3] .. data), 1, 12) ~= following
  end
end
if not lost then return 0 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[4]) -- what is there stays: it may be all that is known of who was revoked
return 1
