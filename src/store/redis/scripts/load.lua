-- KEYS: the record.
local present = redis.call('HMGET', KEYS[1], 'version', 'document')
return {0, redis.call('EXISTS', KEYS[1]), present[1], present[2]}
