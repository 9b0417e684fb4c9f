-- One load for every proxy: GET, or POST with a body of the given size; figures on one line at the end.
-- Arguments after `--`: the body's size in bytes, 0 for GET; then, if requests are to differ, a value of the cookie
-- `backend` for each, which also gets a path of its own below the given one. Without these no Lua runs per request:
-- wrk formats it once.

local function alternate(cookies)
   local requests, next = {}, 0
   for number, cookie in ipairs(cookies) do
      wrk.headers["Cookie"] = "backend=" .. cookie
      requests[number] = wrk.format("GET", wrk.path .. "/" .. number)
   end
   function request()
      next = next % #requests + 1
      return requests[next]
   end
end

function init(args)
   local body_size = tonumber(args[1] or "0")
   if body_size > 0 then
      wrk.method = "POST"
      wrk.body = string.rep("x", body_size)
      wrk.headers["Content-Type"] = "application/octet-stream"
   end
   if #args > 1 then
      alternate({ unpack(args, 2) })
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
