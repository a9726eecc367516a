-- Renew the lease of a node, or only look around.
-- KEYS: nodes
-- ARGV: node (empty: none), lease (s)
-- Returns: 1 if its lease was still good, else 0; the nodes that live; those whose lease is over
local time = redis.call('TIME')
local now = tonumber(time[1]) + time[2] / 1e6
local function text(seconds) return string.format('%.6f', seconds) end
local good = 0
if ARGV[1] ~= '' then
  local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if lease and tonumber(lease) >= now then good = 1 end
  redis.call('ZADD', KEYS[1], text(now + tonumber(ARGV[2])), ARGV[1])
end
return {
  good, redis.call('ZRANGEBYSCORE', KEYS[1], text(now), '+inf'), redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. text(now))
}
