-- The load of `python -m ops.dev.bench.jobs api`, for wrk: `wrk … -s wrk.lua URL -- REQUESTS THREADS`.
-- REQUESTS is a file of whole HTTP requests, each ended by a NUL; each thread of wrk sends its part of them in turn.
-- A request that is answered 503 waits for the seconds of its Retry-After before the connection sends another.
-- `another-text-with-each-sending` is replaced by a text that no other request has.
-- The file that BENCH_RESULT names gets the figures as JSON.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local count, seen = tonumber(arguments[2]), 0
  requests, last, busy, sent = {}, 0, {}, 0
  run, placeholder = os.getenv("BENCH_RUN"), "another%-text%-with%-each%-sending"
  for one in file:read("*a"):gmatch("(%Z+)%z") do
    if seen % count == number then requests[#requests + 1] = one end
    seen = seen + 1
  end
  file:close()
  varies = requests[1]:find(placeholder) ~= nil
end

function request()
  last, sent = last % #requests + 1, sent + 1
  if not varies then return requests[last] end
  return (requests[last]:gsub(placeholder, run .. "-" .. number .. "-" .. sent, 1))
end

-- Defined only where answers can be 503: wrk parses no header without it.
if os.getenv("BENCH_RETRY_AFTER") then
  function response(status, headers)
    if status == 503 then busy[#busy + 1] = 1000 * tonumber(headers["retry-after"] or headers["Retry-After"]) end
  end

  function delay()
    return table.remove(busy) or 0
  end
end

-- The slowest hundredth of the answers. wrk has no latency of a request that is not answered before the end; where
-- such are more than a hundredth of all, they are the slowest, and have waited as long as the run. A connection that
-- pauses after a 503 has no request either, and is no slow one: there the answers alone are counted.
local function slowest(summary, latency)
  if os.getenv("BENCH_RETRY_AFTER") then return latency:percentile(99) / 1e3 end
  local unanswered = tonumber(os.getenv("BENCH_CONNECTIONS")) - latency.mean * summary.requests / summary.duration
  if unanswered > 0.01 * (summary.requests + unanswered) then return summary.duration / 1e3 end
  return latency:percentile(99) / 1e3
end

function done(summary, latency)
  local errors = summary.errors
  local file = assert(io.open(os.getenv("BENCH_RESULT"), "w"))
  file:write(string.format(
    '{"seconds": %f, "answers": %d, "refused": %d, "broken": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.duration / 1e6, summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, slowest(summary, latency)))
  file:close()
end
