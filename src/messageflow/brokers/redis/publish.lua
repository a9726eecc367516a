-- Store one publication and announce it: numbering, storing and announcing are one step for all nodes.
-- KEYS: state, log, idempotency key (the state again when there is none)
-- ARGV: data, info, tags, size, ttl (s), window (ms; 0 without a key), live channel, epoch if it is the first,
--       life of the state (s), command to announce with
-- Returns: epoch, offset, tag
local data, info, tags = ARGV[1], ARGV[2], ARGV[3]
local size, ttl, window = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if window > 0 then
  local before = redis.call('HMGET', KEYS[3], 'epoch', 'offset', 'tag')
  if before[2] then return before end
end
local time = redis.call('TIME')
local now = time[1] .. '.' .. string.format('%06d', time[2])
local epoch, offset, tag = '', '0', ''
if size > 0 then
  local state = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'tag')
  epoch, offset, tag = state[1], state[2] or '0', state[3] or ''
  if not epoch then
    epoch = ARGV[8]
    redis.call('DEL', KEYS[2]) -- a log without its state is of a life that is gone
  end
  offset = string.format('%d', tonumber(offset) + 1)
  tag = string.sub(redis.sha1hex(tag .. data), 1, 12)
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', offset, 'tag', tag, 'ttl', ARGV[5])
  redis.call('EXPIRE', KEYS[1], ARGV[9])
  redis.call('XADD', KEYS[2], 'MAXLEN', size, offset .. '-0', 't', tag, 'at', now, 'd', data, 'i', info, 'g', tags)
  redis.call('PEXPIRE', KEYS[2], math.ceil(ttl * 1000))
end
if window > 0 then
  redis.call('HSET', KEYS[3], 'epoch', epoch, 'offset', offset, 'tag', tag)
  redis.call('PEXPIRE', KEYS[3], window)
end
local head = table.concat({epoch, offset, tag, now, #info, #tags}, ' ')
redis.call(ARGV[10], ARGV[7], 'P' .. head .. '\n' .. info .. tags .. data)
return {epoch, offset, tag}
