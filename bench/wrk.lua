-- IssueCoupon requests for wrk, and a summary in JSON.
-- wrk wrk.lua URL -- CAMPAIGN_ID json|proto none|distinct RUN

local campaign_id, format, users, run
local prefix, count = "", 0
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("thread_number", threads)
end

local function body(user_id)
  if format == "json" then
    local user = user_id and ',"userId":"' .. user_id .. '"' or ""
    return '{"campaignId":"' .. campaign_id .. '"' .. user .. "}"
  end
  local user = user_id and "\18" .. string.char(#user_id) .. user_id or ""
  return "\10\36" .. campaign_id .. user
end

function init(args)
  campaign_id, format, users, run = args[1], args[2], args[3], args[4]
  wrk.method = "POST"
  wrk.headers["content-type"] = "application/" .. format
  wrk.body = body()
  prefix = run .. "-" .. thread_number .. "-"
  if users ~= "distinct" then
    local always = wrk.format()
    request = function() return always end
  end
end

function request()
  count = count + 1
  return wrk.format(nil, nil, nil, body(prefix .. count))
end

function done(summary, latency)
  io.write(string.format(
    '\n{"requests":%d,"microseconds":%d,"refused":%d,"broken":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
