-- KEYS: the record. ARGV: whether it replaces one, that one's version, the new version and document.
-- Versions are compared as text: a number of Lua's has 53 bits. A hash with fields of nobody's
-- is something too, and stays.
local there = redis.call('EXISTS', KEYS[1])
local present = redis.call('HMGET', KEYS[1], 'version', 'document')
if (ARGV[1] == '0' and there == 0)
  or (ARGV[1] == '1' and present[1] == ARGV[2] and present[2]) then
  redis.call('HSET', KEYS[1], 'version', ARGV[3], 'document', ARGV[4])
  return {1, there, false, false}
end
return {0, there, present[1], present[2]}
