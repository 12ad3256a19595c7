-- The settings and the pause of job types.
--
-- type:<t>  o, p the operator's and the published settings as JSON, which nothing here reads;
--           ol, pl their max_lost, om, pm their max_pending; paused, reason, until; v the version.

local NO_SETTINGS = {false, false, false, false, false, false, false}
local READ_AT_ONCE = 1000 -- Lua passes no more than about 8000 values on
local settings_read = {}

-- Find out at once which of many job types have no settings: mostly all.
local function foresee_settings(job_types)
  for first = 1, #job_types, READ_AT_ONCE do
    local last = math.min(#job_types, first + READ_AT_ONCE - 1)
    local are_set = call('SMISMEMBER', PREFIX .. 'settings', unpack(job_types, first, last))
    for place, is_set in ipairs(are_set) do
      if is_set == 0 then settings_read[job_types[first + place - 1]] = NO_SETTINGS end
    end
  end
end

-- Return {paused, until, ol, pl, om, pm, version} of a job type, each false where there is none.
local function settings_of(job_type)
  local found = settings_read[job_type]
  if not found then
    found = call('HMGET', PREFIX .. 'type:' .. job_type, 'paused', 'until', 'ol', 'pl', 'om', 'pm', 'v')
    settings_read[job_type] = found
  end
  return found
end

local function is_paused(job_type)
  local found = settings_of(job_type)
  return found[1] and (not found[2] or tonumber(found[2]) > now)
end

local function max_lost_of(job)
  local found = settings_of(job.t)
  return tonumber(job.ml or found[3] or found[4] or 3)
end

local function max_pending_of(job_type)
  local found = settings_of(job_type)
  return tonumber(found[5] or found[6] or nil)
end

local function settings_versions()
  local flat = {}
  for job_type, found in pairs(settings_read) do
    flat[#flat + 1] = job_type
    flat[#flat + 1] = found[7] or '0'
  end
  return flat
end
