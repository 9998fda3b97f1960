-- KEYS: the record. ARGV: 1 if a version is expected or 0 for no record, that version, the new
-- version, the new document.
-- Versions are compared as text: a number in Lua has 53 bits. A hash with other fields is not a
-- record, and stays.
local exists = redis.call('EXISTS', KEYS[1])
local stored = redis.call('HMGET', KEYS[1], 'version', 'document')
if (ARGV[1] == '0' and exists == 0)
  or (ARGV[1] == '1' and stored[1] == ARGV[2] and stored[2]) then
  redis.call('HSET', KEYS[1], 'version', ARGV[3], 'document', ARGV[4])
  return {1, exists, false, false}
end
return {0, exists, stored[1], stored[2]}
