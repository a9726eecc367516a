-- Store publications and announce them: numbering, storing and announcing are one step for all nodes.
-- KEYS: of each publication the state, the log and the idempotency key (the state again where there is none)
-- ARGV: command to announce with, what its names end with, epoch of streams that begin here, least life of a state (s),
--       age (0: not known),
--       then of each publication: data, info, tags, size, ttl (s), window (ms; 0 without a key), and what few have, '' for
--       none: the client that it is not for, and after a space each the version of its document and the epoch of that
-- Returns: of each publication epoch, offset, tag; or false, the error, '': one that fails leaves the others alone.
--       One whose version is outdated is passed over: where its channel stands is answered
local call, announce, ending, beginning, life = redis.call, ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local age = tonumber(ARGV[5])
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

local function wording(error)
  local text = type(error) == 'table' and error.err or tostring(error)
  return string.match(text, '^%u+ .*') or string.match(text, '%-(%u+ .*)') or text -- the latter before Redis 7
end

-- Something that is not ours lies under our keys, or a log is ahead of its state: the stream begins anew.
local function is_garbage(text)
  return string.find(text, '^WRONGTYPE') or string.find(text, 'equal or smaller') or string.find(text, 'not an integer')
end

-- The last words are there only where they say something: earlier versions read what has none.
local function write(epoch, offset, tag, data, info, tags, exclude, flags)
  local head = table.concat({'P' .. epoch, offset, tag, at, #info, #tags}, ' ')
  if exclude ~= '' or flags ~= '' then head = head .. ' ' .. exclude end
  if flags ~= '' then head = head .. ' ' .. flags end
  return head .. '\n' .. info .. tags .. data
end

-- Numbers as text, for those of Lua have 53 bits: of the same length they compare as texts do.
local function is_outdated(state, number, version_epoch)
  local newest = call('HMGET', state, 'version', 'version_epoch')
  if not newest[1] or (version_epoch ~= '' and version_epoch ~= newest[2]) then return false end
  return #number < #newest[1] or (#number == #newest[1] and number <= newest[1])
end

local function add(state, log, data, info, tags, size, ttl, exclude, flags, number, version_epoch)
  local known = call('HMGET', state, 'epoch', 'offset', 'tag', 'ttl', 'renew', 'age')
  local epoch = known[1]
  if epoch and number ~= '' and is_outdated(state, number, version_epoch) then
    return epoch, known[2] or '0', known[3] or '', nil
  end
  if not epoch then
    epoch = beginning
    call('HSET', state, 'epoch', epoch, 'age', ARGV[5]) -- first, for it is refused when memory is full; after a DEL it is not
    call('DEL', log) -- a log without its state is of a life that is gone
  elseif tonumber(known[6] or 0) < age then -- it may lack its end: it goes on, and whoever stood somewhere is told
    epoch = beginning
    call('HSET', state, 'epoch', epoch, 'age', ARGV[5])
  end
  local offset = string.format('%d', (known[2] or 0) + 1)
  local tag = string.sub(redis.sha1hex((known[3] or '') .. data), 1, 12)
  local message = write(epoch, offset, tag, data, info, tags, exclude, flags)
  call('XADD', log, 'MAXLEN', size, offset .. '-0', 'm', message)
  call('HSET', state, 'offset', offset, 'tag', tag)
  if number ~= '' then call('HSET', state, 'version', number, 'version_epoch', version_epoch) end
  if known[4] ~= tostring(ttl) or now >= tonumber(known[5] or 0) then renew(state, log, ttl) end
  return epoch, offset, tag, message
end

local function store(i)
  local state, log, key = KEYS[3 * i + 1], KEYS[3 * i + 2], KEYS[3 * i + 3]
  local data, info, tags = ARGV[7 * i + 6], ARGV[7 * i + 7], ARGV[7 * i + 8]
  local size, ttl, window, rare = ARGV[7 * i + 9], tonumber(ARGV[7 * i + 10]), ARGV[7 * i + 11], ARGV[7 * i + 12]
  local exclude, number, flags, version_epoch = '', '', '', ''
  if rare ~= '' then exclude, number, flags, version_epoch = string.match(rare, '^(%S*) ?(%d*);?(%d*) ?(.*)$') end
  local before = window ~= '0' and call('GET', key)
  if before then return string.match(before, '^(%S*) (%d+) (%S*)$') end
  local epoch, offset, tag, message = '', '0', '', nil
  if size == '0' then
    message = write('', '0', '', data, info, tags, exclude, flags)
  else
    local ok
    ok, epoch, offset, tag, message =
      pcall(add, state, log, data, info, tags, size, ttl, exclude, flags, number, version_epoch)
    if not ok then
      if not is_garbage(wording(epoch)) then error(epoch, 0) end
      call('DEL', state, log)
      epoch, offset, tag, message = add(state, log, data, info, tags, size, ttl, exclude, flags, number, version_epoch)
    end
    if not message then return epoch, offset, tag end
  end
  if window ~= '0' then call('SET', key, epoch .. ' ' .. offset .. ' ' .. tag, 'PX', window) end
  call(announce, string.sub(state, 1, -6) .. 'live' .. ending, message)
  return epoch, offset, tag
end

local answers = {}
for i = 0, #KEYS / 3 - 1 do
  local ok, epoch, offset, tag = pcall(store, i)
  if ok then
    answers[3 * i + 1], answers[3 * i + 2], answers[3 * i + 3] = epoch, offset, tag
  else
    local text = wording(epoch)
    if string.find(text, '^READONLY') then return redis.error_reply(text) end -- nothing can be stored here
    answers[3 * i + 1], answers[3 * i + 2], answers[3 * i + 3] = false, text, ''
  end
end
return answers
