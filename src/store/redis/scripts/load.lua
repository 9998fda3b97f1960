-- KEYS: the record.
local stored = redis.call('HMGET', KEYS[1], 'version', 'document')
return {0, redis.call('EXISTS', KEYS[1]), stored[1], stored[2]}
