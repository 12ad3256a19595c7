-- Figures: what happened per minute and job type, and which errors came how often.
--
-- minute:<instant>  <type>|<figure>|<bucket> = how many; the buckets are those of backends/history.py
-- errors:<instant>  per hour: <type>NUL<error type> = how many, and with NUL after it the latest one's
--                   instant|job id|message; error types are escaped, so that they hold no NUL

local MINUTE, HOUR = 60000, 3600000
local MESSAGE_LENGTH, KIND_LENGTH = 300, 128
local MOST_KINDS, OTHER = 400, 'Other'
local tallies = {}

local function tally(job_type, figure, bucket)
  local field = job_type .. '|' .. figure .. '|' .. (bucket or 0)
  tallies[field] = (tallies[field] or 0) + 1
end

local function bucket(millis)
  local mantissa, exponent = math.frexp(math.max(0, millis) + 1)
  return math.floor((exponent + math.log(mantissa) / math.log(2)) * 4)
end

local function tally_error(job, kind, message)
  local hour = text(now - now % HOUR)
  local key, field = PREFIX .. 'errors:' .. hour, job.t .. '\0' .. kind
  if call('HLEN', key) >= 2 * MOST_KINDS and call('HEXISTS', key, field) == 0 then
    field = job.t .. '\0' .. OTHER
  end
  call('HINCRBY', key, field, 1)
  call('HSET', key, field .. '\0', NOW .. '|' .. job.id .. '|' .. message)
  call('ZADD', PREFIX .. 'hours', hour, hour)
end

-- Count the end of an attempt that started at `started_at`, if there was one.
local function tally_run(job, started_at)
  if started_at then tally(job.t, 'run', bucket(now - started_at)) end
end

at_end[#at_end + 1] = function()
  local minute = text(now - now % MINUTE)
  local is_new = false -- a new minute has new fields only
  for field, count in pairs(tallies) do
    is_new = call('HINCRBY', PREFIX .. 'minute:' .. minute, field, count) == count or is_new
  end
  if is_new then call('ZADD', PREFIX .. 'minutes', minute, minute) end
end
