-- One load for every proxy: GET, or POST with a body of the given size; figures on one line at the end.
-- Argument after `--`: the body's size in bytes, 0 for GET. No Lua runs per request: wrk formats it once.

function init(args)
   local body_size = tonumber(args[1] or "0")
   if body_size > 0 then
      wrk.method = "POST"
      wrk.body = string.rep("x", body_size)
      wrk.headers["Content-Type"] = "application/octet-stream"
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      "figures requests=%d micros=%d connect=%d read=%d write=%d status=%d timeout=%d p50=%d p99=%d\n",
      summary.requests, summary.duration,
      errors.connect, errors.read, errors.write, errors.status, errors.timeout,
      latency:percentile(50), latency:percentile(99)))
end
