-- Store publications and announce them: numbering, storing and announcing are one step for all nodes.
-- KEYS: of each publication the state, the log and the idempotency key (the state again where there is none)
-- ARGV: command to announce with, epoch of streams that begin here, least life of a state (s),
--       then of each publication: data, info, tags, size, ttl (s), window (ms; 0 without a key)
-- Returns: of each publication epoch, offset, tag
local call, announce, beginning, life = redis.call, ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = call('TIME')
local now = tonumber(time[1])
local at = time[1] .. '.' .. string.format('%06d', time[2])

-- Both keys are given a new life now and then, not each time: at most once in `ttl` seconds.
local function renew(state, log, ttl)
  local lives = math.max(life, math.ceil(2 * ttl))
  call('EXPIRE', state, lives)
  call('PEXPIRE', log, string.format('%d', math.ceil(2000 * ttl)))
  call('HSET', state, 'ttl', tostring(ttl), 'renew', string.format('%d', math.floor(now + ttl)))
end

local answers = {}
for i = 0, #KEYS / 3 - 1 do
  local state, log, key = KEYS[3 * i + 1], KEYS[3 * i + 2], KEYS[3 * i + 3]
  local data, info, tags = ARGV[6 * i + 4], ARGV[6 * i + 5], ARGV[6 * i + 6]
  local size, ttl, window = ARGV[6 * i + 7], tonumber(ARGV[6 * i + 8]), ARGV[6 * i + 9]
  local before = window ~= '0' and call('GET', key)
  local epoch, offset, tag = '', '0', ''
  if before then
    epoch, offset, tag = string.match(before, '^(%S*) (%d+) (%S*)$')
  else
    local known
    if size ~= '0' then
      known = call('HMGET', state, 'epoch', 'offset', 'tag', 'ttl', 'renew')
      epoch = known[1]
      if not epoch then
        epoch = beginning
        call('DEL', log) -- a log without its state is of a life that is gone
        call('HSET', state, 'epoch', epoch)
      end
      offset = string.format('%d', (known[2] or 0) + 1)
      tag = string.sub(redis.sha1hex((known[3] or '') .. data), 1, 12)
    end
    local message = table.concat({'P' .. epoch, offset, tag, at, #info, #tags}, ' ') .. '\n' .. info .. tags .. data
    if known then
      call('HSET', state, 'offset', offset, 'tag', tag)
      call('XADD', log, 'MAXLEN', size, offset .. '-0', 'm', message)
      if known[4] ~= tostring(ttl) or now >= tonumber(known[5] or 0) then renew(state, log, ttl) end
    end
    if window ~= '0' then call('SET', key, epoch .. ' ' .. offset .. ' ' .. tag, 'PX', window) end
    call(announce, string.sub(state, 1, -6) .. 'live', message)
  end
  answers[3 * i + 1], answers[3 * i + 2], answers[3 * i + 3] = epoch, offset, tag
end
return answers
