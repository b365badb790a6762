"""Pure: the scripts that the store runs, each in one step. It counts all times, in whole milliseconds.

Keys of a credential, in one slot of a cluster: `value`, `lock`, `lane` (the last outcome, while the fleet has
to wait), `gap` (between repairs), `repairs` and `tries` (how many in a row), `refusals` (of logins).
"""

from typing import Final

KEYS: Final = ("value", "lock", "lane", "gap", "repairs", "tries")
"""Six: Redis closes a connection without a password at more than ten parts of a command, unexplained."""

LOOK: Final = """
local v = redis.call('get', KEYS[1])
if v and string.sub(v, 3, 26) ~= ARGV[1] then return {'value', v, redis.call('pttl', KEYS[1])} end
return {'none', '', 0}"""
"""Look for a token. ARGV: mark of the token that the proxy has ("": none)."""

ACQUIRE: Final = """
local v = redis.call('get', KEYS[1])
if v and string.sub(v, 3, 26) ~= ARGV[1] then return {'value', v, redis.call('pttl', KEYS[1])} end
local lane, left = redis.call('get', KEYS[3]), redis.call('pttl', KEYS[3])
if lane == 'same' then
  if left > 0 and ARGV[1] ~= '' then return {'same', '', left} end
elseif lane and left > 0 and left <= (lane == 'rejected' and 3600000 or 300000) then
  return {lane, '', left}
end
if redis.call('set', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return {'acquired', '', 0} end
left = redis.call('pttl', KEYS[2])
if left > 0 and left <= tonumber(ARGV[3]) then return {'held', '', left} end
redis.call('set', KEYS[2], ARGV[2], 'PX', ARGV[3])
return {'acquired', '', 0}"""
"""Look, and take the lock if there is nothing to take. ARGV: mark as in `LOOK`, owner, time of the lock.

A lock or a lane that lasts longer than ours ever do was not written by us, and does not count."""

EXTEND: Final = """
if redis.call('get', KEYS[2]) == ARGV[1] then return redis.call('pexpire', KEYS[2], ARGV[2]) end
return 0"""
"""Keep the lock. ARGV: owner, time."""

KEEP: Final = """
local v = redis.call('get', KEYS[1])
if not v then return {'none', '', 0} end
local left = redis.call('pttl', KEYS[1])
if string.sub(v, 3, 26) ~= ARGV[1] then return {'value', v, left} end
if left < tonumber(ARGV[2]) then redis.call('pexpire', KEYS[1], ARGV[2]) end
return {'none', '', 0}"""
"""Look as `LOOK` does; if the value is the session that the proxy has, let it last. ARGV: its mark, time
left."""

PUT: Final = """
local new = redis.call('pttl', KEYS[1]) < tonumber(ARGV[6])
if new then redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
if tonumber(ARGV[5]) > 0 then redis.call('set', KEYS[3], ARGV[4], 'PX', ARGV[5]) end
redis.call('del', KEYS[6])
if redis.call('get', KEYS[2]) == ARGV[1] then redis.call('del', KEYS[2]) end
return new and 1 or 0"""
"""Write a token, if the present one lasts less than the last argument. ARGV: owner, value, time left, lane,
its time, and that one. Returns whether it was written."""

END: Final = """
local n = redis.call('incr', KEYS[6])
redis.call('pexpire', KEYS[6], 600000)
local back_off = math.min(tonumber(ARGV[4]) * 2 ^ (n - 1), tonumber(ARGV[5]))
local ms = math.floor(math.max(tonumber(ARGV[3]), back_off))
redis.call('set', KEYS[3], ARGV[2], 'PX', ms)
if redis.call('get', KEYS[2]) == ARGV[1] then redis.call('del', KEYS[2]) end
return ms"""
"""Record a failure: the fleet waits, longer after each one. ARGV: owner, outcome, least time (Retry-After),
first and longest back-off. Returns the time."""

REFUSED: Final = """
local n = redis.call('incr', KEYS[7])
redis.call('pexpire', KEYS[7], 3600000)
local ms = math.max(tonumber(ARGV[2]), tonumber(ARGV[n + 2] or ARGV[#ARGV]))
redis.call('set', KEYS[3], 'rejected', 'PX', ms)
if redis.call('get', KEYS[2]) == ARGV[1] then redis.call('del', KEYS[2]) end
return ms"""
"""Record a refused password: the fleet waits. ARGV: owner, least time (Retry-After), the wait after the first
refusal, after the second, and so on; the last one is that after all others, too."""

FORGET: Final = """
local v = redis.call('get', KEYS[1])
if not v or string.sub(v, 3, 26) ~= ARGV[1] then return 0 end
if redis.call('exists', KEYS[4]) == 1 then return -1 end
local n = redis.call('incr', KEYS[5])
redis.call('pexpire', KEYS[5], 600000)
redis.call('set', KEYS[4], '1', 'PX', math.floor(math.min(1000 * 2 ^ (n - 1), 300000)))
if redis.call('get', KEYS[3]) == 'same' then redis.call('del', KEYS[3]) end
return redis.call('del', KEYS[1])"""
"""Remove a refused token, only if it is that one. ARGV: its mark. Returns -1 if the
last repair was just now."""

REMOVE: Final = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0"""
"""Remove a value that does not open, only if it is exactly that one. ARGV: the value."""

HOST_KEYS: Final = ("pace", "limited")
"""Of a token host, in one slot."""

PACE: Final = """
if ARGV[2] == '0' and redis.call('exists', KEYS[2]) == 0 then return 0 end
if redis.call('set', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then return 0 end
local left = redis.call('pttl', KEYS[1])
if left > 0 and left <= tonumber(ARGV[1]) then return left end
redis.call('set', KEYS[1], '1', 'PX', ARGV[1])
return 0"""
"""Take a turn at the token host. ARGV: time between two, whether it is limited from the start. Returns 0, or
the time to wait before the next try."""

LIMIT: Final = "redis.call('set', KEYS[2], '1', 'PX', ARGV[1])"
"""Limit the token host. ARGV: for how long."""
