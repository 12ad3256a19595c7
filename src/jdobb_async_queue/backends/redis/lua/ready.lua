-- What is ready to be claimed.
--
-- A type's pending jobs stand in one sorted set by weight, then by the instant from which they may run, then
-- by sequence. What is ready of one weight is a range of it; waiting jobs need no promotion.

local function ready(job_type, rank, offset, count)
  local from = rank * RANK
  return call('ZRANGEBYSCORE', index_key('p', job_type), text(from), text(from + now), 'WITHSCORES',
    'LIMIT', offset, count)
end

local function has_ready(job_type)
  for rank = 0, 2 do
    if #ready(job_type, rank, 0, 1) > 0 then return true end
  end
  return false
end
