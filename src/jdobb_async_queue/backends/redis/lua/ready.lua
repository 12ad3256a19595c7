-- What is ready to be claimed.
--
-- A type's pending jobs stand in one sorted set by weight, then by the instant from which they may run, then
-- by sequence. What is ready of one weight is a range of it; waiting jobs need no promotion.

local function ready(job_type, rank, offset, count)
  local from = rank * RANK
  return call('ZRANGEBYSCORE', index_key('p', job_type), text(from), text(from + now), 'WITHSCORES',
    'LIMIT', offset, count)
end

-- Return the next instant at which time alone changes what a claim of these types would find, or ''.
-- `is_pending` is false for those that are known to have no pending job.
local function next_due(job_types, is_pending)
  local due = math.huge
  for _, name in ipairs({'leases', 'deadlines'}) do
    due = math.min(due, tonumber(call('ZRANGE', PREFIX .. name, 0, 0, 'WITHSCORES')[2]) or math.huge)
  end
  for _, job_type in ipairs(job_types) do
    if is_paused(job_type) then
      due = math.min(due, tonumber(settings_of(job_type)[2] or math.huge))
    elseif is_pending[job_type] ~= false then
      for rank = 0, 2 do
        local from = rank * RANK
        local found = call('ZRANGEBYSCORE', index_key('p', job_type), '(' .. text(from + now),
          '(' .. text(from + RANK), 'WITHSCORES', 'LIMIT', 0, 1)
        if found[2] then due = math.min(due, found[2] - from) end
      end
    end
  end
  return due == math.huge and '' or text(due)
end
