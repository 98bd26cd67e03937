"""Hits in Redis: one count for all processes and machines of a site.

A script runs in Redis for each request, and Redis runs one at a time: so the limit is exact however many processes ask
at once, and a request costs one round trip whatever number of limits it falls under.  Redis also says what time it is,
because the clocks of two machines differ, and a window would be longer for one than for the other.

A key holds a list of times in milliseconds, oldest first: about 10 bytes a hit, and it expires by itself.  Fractions of a
millisecond are cut off, so a hit counts for one more, and never for less than its time.
"""

from __future__ import annotations

from collections.abc import Sequence

from mealshare.core.ratelimit.interface import Count, Window
from mealshare.core.redis import delete_prefix, make_redis

#: For each window ARGV has the amount and the milliseconds; the first argument is 1 to count and 0 to look.  Gives 1 or
#: 0 (whether it counted), and for each window the hits and the milliseconds until the oldest stops counting.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local counts, free = {}, 1

local function at(key, index)
  return tonumber(redis.call('LINDEX', key, index))
end

for i, key in ipairs(KEYS) do
  local oldest = now - ARGV[2 * i + 1]
  local count = redis.call('LLEN', key)
  if count > 0 and at(key, 0) < oldest then
    -- The first that still counts is found by halving: a busy window has thousands.
    local low, high = 1, count
    while low < high do
      local middle = math.floor((low + high) / 2)
      if at(key, middle) >= oldest then high = middle else low = middle + 1 end
    end
    redis.call('LTRIM', key, low, -1)
    count = count - low
  end
  counts[i] = count
  if count >= tonumber(ARGV[2 * i]) then free = 0 end
end

local answer = {0}
for i, key in ipairs(KEYS) do
  local milliseconds = tonumber(ARGV[2 * i + 1])
  if free == 1 and ARGV[1] == '1' then
    -- A clock that stepped back must not put a hit before an older one.
    local moment = now
    if counts[i] > 0 then moment = math.max(now, at(key, -1)) end
    redis.call('RPUSH', key, string.format('%.0f', moment))
    redis.call('PEXPIRE', key, string.format('%.0f', moment - now + milliseconds + 1))
    counts[i] = counts[i] + 1
    answer[1] = 1
  end
  answer[2 * i] = counts[i]
  answer[2 * i + 1] = 0
  if counts[i] > 0 then answer[2 * i + 1] = at(key, 0) + milliseconds + 1 - now end
end
return answer
"""


class RedisStorage:
    """Hits in the Redis at ``url``, under keys that begin with ``prefix``.

    A call that takes longer than ``timeout`` seconds raises; so does one that finds no Redis.  For what making it
    raises, see `make_redis`.
    """

    def __init__(self, url: str, prefix: str, timeout: float = 0.25) -> None:
        self._client = make_redis(url, timeout, "ratelimit")
        self._prefix = prefix
        self._script = self._client.register_script(_SCRIPT)

    def hit(self, windows: Sequence[Window]) -> tuple[bool, list[Count]]:
        """Count one hit in each window, or none anywhere if one is full; whether it counted, and what is there now."""
        return self._run(1, windows)

    def look(self, windows: Sequence[Window]) -> list[Count]:
        """What each window has now, without counting."""
        return self._run(0, windows)[1]

    def clear(self, key: str) -> None:
        """Forget the hits under ``key``."""
        self._client.delete(self._prefix + key)

    def reset(self) -> None:
        """Forget all hits under the prefix; for tests, since it walks all keys of the database."""
        delete_prefix(self._client, self._prefix)

    def check(self) -> None:
        """Return if Redis answers, raise if not."""
        self._client.ping()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _run(self, count: int, windows: Sequence[Window]) -> tuple[bool, list[Count]]:
        arguments = [count]
        for window in windows:
            arguments += (window.amount, window.seconds * 1000)
        answer = self._script(keys=[self._prefix + window.key for window in windows], args=arguments)
        counts = [Count(answer[2 * i + 1], answer[2 * i + 2] / 1000) for i in range(len(windows))]
        return answer[0] == 1, counts
