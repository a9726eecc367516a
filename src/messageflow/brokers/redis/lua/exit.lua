-- Take a client out of presence, if he is there through this node.
-- KEYS: present, users
-- ARGV: client, node, user
-- Returns: 1 if he was, else 0
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known or string.sub(known, 1, #ARGV[2] + 1) ~= ARGV[2] .. ' ' then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
if redis.call('HINCRBY', KEYS[2], ARGV[3], -1) <= 0 then redis.call('HDEL', KEYS[2], ARGV[3]) end
return 1
