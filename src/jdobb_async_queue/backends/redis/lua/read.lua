-- Readings: one job, many, lists, update logs, figures. Nothing here writes.

-- ARGUMENTS  ids
-- RETURNS    for each the job, or false
function operations.get(at, count)
  local answer = {}
  for place = at, at + count - 1 do
    local job = load(ARGV[place])
    answer[#answer + 1] = job and shown(job) or false
  end
  return answer
end

-- RETURNS    the job types that have jobs
function operations.types()
  return call('SMEMBERS', PREFIX .. 'types')
end

-- ARGUMENTS  id; the seq after which to read; how many at most; how many bytes, but for the first
-- RETURNS    {job, its log or false while it is not written out}, or false
function operations.updates(at)
  local job = load(ARGV[at])
  if not job then return false end
  if not job.lg then return {shown(job), false} end
  local after, limit, room = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local lines = call('LRANGE', key_of('u', job.id), 0, -1)
  local found = {}
  for _, line in ipairs(lines) do
    if tonumber(line:match('^%d+')) > after then
      room = room - #line
      if #found == limit or (#found > 0 and room < 0) then break end
      found[#found + 1] = line
    end
  end
  return {shown(job), found}
end

-- One chunk of an index, for lists that are merged by the caller.
--
-- ARGUMENTS  how many at most; then for each index: its key's end, '1' to read it backwards, the score to
--            begin at or '', how many of that very score to skip
-- RETURNS    for each index its members and scores, flat
function operations.range(at, count)
  local limit = ARGV[at]
  local answer = {}
  for place = at + 1, at + count - 1, 4 do
    local key, from, skip = PREFIX .. ARGV[place], ARGV[place + 2], ARGV[place + 3]
    if ARGV[place + 1] == '1' then
      answer[#answer + 1] = call('ZREVRANGEBYSCORE', key, given(from) or '+inf', '-inf', 'WITHSCORES', 'LIMIT', skip, limit)
    else
      answer[#answer + 1] = call('ZRANGEBYSCORE', key, given(from) or '-inf', '+inf', 'WITHSCORES', 'LIMIT', skip, limit)
    end
  end
  return answer
end

-- RETURNS    for each job type that has jobs {type, pending, processing, complete, failed, cancelled, how many
--            of the pending are due, the earliest instant from which one of those may run or ''}
function operations.figures()
  local answer = {}
  for _, job_type in ipairs(call('SMEMBERS', PREFIX .. 'types')) do
    local row = {job_type}
    for place, status in ipairs({'p', 'a', 'c', 'f', 'x'}) do
      row[place + 1] = call('ZCARD', index_key(status, job_type))
    end
    local due, earliest = 0, nil
    for rank = 0, 2 do
      local from = rank * RANK
      due = due + call('ZCOUNT', index_key('p', job_type), text(from), text(from + now))
      local first = ready(job_type, rank, 0, 1)[2]
      if first then earliest = math.min(earliest or math.huge, first - from) end
    end
    row[7], row[8] = due, earliest and text(earliest) or ''
    answer[#answer + 1] = row
  end
  return answer
end

-- RETURNS    for each job type with settings its type and its hash, flat
function operations.settings()
  local answer = {}
  for _, job_type in ipairs(call('SMEMBERS', PREFIX .. 'settings')) do
    answer[#answer + 1] = {job_type, call('HGETALL', PREFIX .. 'type:' .. job_type)}
  end
  return answer
end

-- ARGUMENTS  minutes or hours; minute or errors; the earliest instant
-- RETURNS    for each instant {it, its hash, flat}
function operations.history(at)
  local answer = {}
  for _, instant in ipairs(call('ZRANGEBYSCORE', PREFIX .. ARGV[at], '(' .. ARGV[at + 2], '+inf')) do
    answer[#answer + 1] = {instant, call('HGETALL', PREFIX .. ARGV[at + 1] .. ':' .. instant)}
  end
  return answer
end

local function entry_of(id, beat)
  return {id, beat, call('HGETALL', PREFIX .. 'worker:' .. id)}
end

-- ARGUMENTS  the worker's id
-- RETURNS    {id, the last heartbeat, its entry}, or nothing
function operations.worker(at)
  local beat = call('ZSCORE', PREFIX .. 'worker_beats', ARGV[at])
  return beat and entry_of(ARGV[at], beat)
end

-- RETURNS    for each worker {id, the last heartbeat, its entry}
function operations.workers()
  local answer = {}
  local beats = call('ZRANGE', PREFIX .. 'worker_beats', 0, -1, 'WITHSCORES')
  for i = 1, #beats, 2 do
    answer[#answer + 1] = entry_of(beats[i], beats[i + 1])
  end
  return answer
end
