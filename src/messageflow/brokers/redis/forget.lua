-- Begin a new epoch, if the stream is still in the one that lost something.
-- KEYS: state, log
-- ARGV: the epoch that lost something, the new one
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'offset', '0', 'tag', '')
  return 1
end
return 0
