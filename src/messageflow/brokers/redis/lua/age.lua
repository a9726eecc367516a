-- Agree on the age of all streams: those that were begun, or judged, in an earlier one go on in a new epoch when touched.
-- KEYS: age
-- ARGV: the lives of all servers, sorted; how they are known:
--       watched (whoever asks was here before these lives began), emptied (the same, and no word of them was left here),
--       proved (nothing is missing), lost (something is), new (whoever asks knows nothing of what was before);
--       the age that whoever asks knows of (0: none), which Redis may have lost
-- Returns: the age
local known = redis.call('HMGET', KEYS[1], 'age', 'lives', 'begun')
local age = math.max(tonumber(known[1] or '0'), tonumber(ARGV[3]))
local function is_new()
  for life in string.gmatch(ARGV[1], '%S+') do
    if not string.find(' ' .. (known[2] or '') .. ' ', ' ' .. life .. ' ', 1, true) then return true end
  end
  return false
end
-- What one gateway lacks it lacks since before these lives: if another has begun an age in them, everybody is told already.
if (ARGV[2] == 'lost' and known[3] ~= ARGV[1]) or (ARGV[2] == 'new' and is_new()) then
  local time = redis.call('TIME')
  age = math.max(age + 1, tonumber(time[1]) * 1000 + math.floor(time[2] / 1000)) -- one that was lost never comes again
  redis.call('HSET', KEYS[1], 'begun', ARGV[1])
elseif ARGV[2] == 'emptied' and not known[2] and not string.find(ARGV[1], ' ', 1, true) then
  redis.call('HSET', KEYS[1], 'begun', ARGV[1]) -- the one server was emptied: all that is there began in this life
end
local text = string.format('%d', age)
if known[1] ~= text or known[2] ~= ARGV[1] then redis.call('HSET', KEYS[1], 'age', text, 'lives', ARGV[1]) end
return text
