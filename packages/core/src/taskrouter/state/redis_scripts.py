"""What happens on a Redis server in one atomic step, in its language."""

from __future__ import annotations

PUT = """
-- KEYS: the space's values (hash), its expiries (sorted set). ARGV: name, 'put' or 'remove', expiry or '', value; ...
local now = redis.call('TIME')
local expired = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now[1], 'LIMIT', 0, 100)
for _, name in ipairs(expired) do
  redis.call('HDEL', KEYS[1], name)
  redis.call('ZREM', KEYS[2], name)
end
for i = 1, #ARGV, 4 do
  local name, verb, expiry, value = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if verb == 'put' then
    redis.call('HSET', KEYS[1], name, expiry .. ' ' .. value)
  else
    redis.call('HDEL', KEYS[1], name)
  end
  if expiry == '' then
    redis.call('ZREM', KEYS[2], name)
  else
    redis.call('ZADD', KEYS[2], expiry, name)
  end
end
return 1
"""
"""Write entries, and remove a few that expired long enough ago."""

CLAIM = """
-- KEYS: one hash per account. ARGV: the owner, who writes for it, the number of this write, then spent, held,
-- limit or '', expiry in ms or '' for each account. A hash holds 'spent' and 'held', the sums of all owners, and
-- each owner's part: 'owner:<name>' = '<spent> <held> <writer> <number>'.
local me = 'owner:' .. ARGV[1]
local granted, answer, sums = 1, {0}, {}
for i, key in ipairs(KEYS) do
  local at = 4 * i
  local spent, held, limit = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2]
  local row = redis.call('HMGET', key, 'spent', 'held', me)
  local owners = redis.call('HLEN', key) - 2
  local my_spent, my_held = 0, 0
  if row[3] then
    local writer, number
    my_spent, my_held, writer, number = string.match(row[3], '^(%d+) (%d+) (%S+) (%d+)$')
    owners = owners - 1
    if writer == ARGV[2] and tonumber(ARGV[3]) < tonumber(number) then
      granted = 0
    end
  end
  local other_spent = tonumber(row[1] or 0) - tonumber(my_spent)
  local other_held = tonumber(row[2] or 0) - tonumber(my_held)
  local grows = spent + held > tonumber(my_spent) + tonumber(my_held)
  if limit ~= '' and grows and spent + held + other_spent + other_held > tonumber(limit) then
    granted = 0
  end
  sums[i] = {string.format('%.0f', other_spent + spent), string.format('%.0f', other_held + held)}
  table.insert(answer, string.format('%.0f', other_spent))
  table.insert(answer, string.format('%.0f', other_held))
  table.insert(answer, math.max(owners, 0))
end
if granted == 1 then
  for i, key in ipairs(KEYS) do
    local at = 4 * i
    redis.call('HSET', key, 'spent', sums[i][1], 'held', sums[i][2], me,
      table.concat({ARGV[at], ARGV[at + 1], ARGV[2], ARGV[3]}, ' '))
    if ARGV[at + 3] == '' then
      redis.call('PERSIST', key)
    else
      redis.call('PEXPIREAT', key, ARGV[at + 3])
    end
  end
end
answer[1] = granted
return answer
"""
"""Check all limits against the sums, then write all parts or none. Its cost does not grow with the number of owners.

A write that was held up on its way, and comes after a later one of the same writer, is refused: its caller has given
up on it long ago, and amounts would go backwards.
"""

APPEND = """
-- KEYS: the log (stream). ARGV: the texts.
for _, text in ipairs(ARGV) do
  redis.call('XADD', KEYS[1], '*', 'text', text)
end
return #ARGV
"""
"""Add records next to each other: all of them or, when the server dies, none."""

TRIM = """
-- KEYS: the log (stream). ARGV: the last millisecond that is to be forgotten, how many records at most.
local found = redis.call('XRANGE', KEYS[1], '-', ARGV[1], 'COUNT', ARGV[2])
for _, record in ipairs(found) do
  redis.call('XDEL', KEYS[1], record[1])
end
return #found
"""
"""Remove the oldest records by their age, and return how many there were. `XTRIM MINID` came only with Redis 6.2."""
