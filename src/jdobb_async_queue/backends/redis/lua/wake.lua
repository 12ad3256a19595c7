-- Wake-ups: a marker for each job type that may have something ready.
--
-- Idle processes block until they pop a marker; whoever pops it claims, and a claim that leaves something
-- ready sets the marker again. So one job wakes one process, and none is forgotten.

local woken = {}

-- Note that a job type may have something ready, or something that will be.
local function wake(job_type)
  woken[job_type] = true
end

local function marker(job_type)
  return PREFIX .. 'wake:' .. job_type
end

at_end[#at_end + 1] = function()
  for job_type in pairs(woken) do call('ZADD', marker(job_type), 0, '1') end
  if next(woken) then call('ZADD', PREFIX .. 'wake', 0, '1') end
end
