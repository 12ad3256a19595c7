-- claim: take the best ready jobs.

local SWEEP_PER_CLAIM = 100
local EXPIRED_PER_CLAIM = 100
local CHUNK = 16
local MOVED_AT_ONCE = 1000 -- as READ_AT_ONCE

local is_pending = {} -- by job type: whether it has pending jobs, nil where that may have changed
local first_rank = {} -- by job type: the weight of its first pending job, ready or not, as the claim began

-- Return the members of the best ready jobs of one weight, at most `limit`, over all the types.
local function best(job_types, rank, limit)
  local sources = {}
  local chunk = #job_types == 1 and limit or math.min(limit, CHUNK)
  for _, job_type in ipairs(job_types) do
    local found = first_rank[job_type] <= rank and ready(job_type, rank, 0, chunk) or {}
    if #found > 0 then
      sources[#sources + 1] = {job_type = job_type, found = found, next = 1, read = chunk}
    end
  end
  local members = {}
  while #members < limit and #sources > 0 do
    local first, first_score, first_member, first_place
    for place, source in ipairs(sources) do
      local score, candidate = tonumber(source.found[source.next + 1]), source.found[source.next]
      if not first or score < first_score or (score == first_score and candidate < first_member) then
        first, first_score, first_member, first_place = source, score, candidate, place
      end
    end
    members[#members + 1] = {first_member, first.job_type}
    first.next = first.next + 2
    if first.next > #first.found then
      local is_full = #members < limit and #first.found == 2 * chunk
      first.found = is_full and ready(first.job_type, rank, first.read, chunk) or {}
      first.next, first.read = 1, first.read + chunk
      if #first.found == 0 then table.remove(sources, first_place) end
    end
  end
  return members
end

-- Start an attempt of a pending job. Its place in the indexes is the caller's concern.
local function start(job, token, lease, worker)
  if job.l then write_log(job) end
  local run_at = number(job, 'r', tonumber(job.c))
  touch(job)
  job.s = 'a'
  add(job, 'n', 1)
  job.a = NOW
  set_instant(job, 'sb', 'deadlines', nil)
  job.pg = nil
  job.m = nil
  job.e = nil
  job.wi = worker
  job.k = token
  job.ln = text(lease)
  if job.us then free_key(job) end
  announce(job, STATUS_KIND)
  tally(job.t, 'started')
  tally(job.t, 'wait', bucket(now - run_at))
  save(job)
end

local function requested(at, count)
  if count < 0 then return call('SMEMBERS', PREFIX .. 'types') end
  local job_types = {}
  for n = 0, count - 1 do job_types[n + 1] = ARGV[at + n] end
  return job_types
end

local function claimable(wanted)
  local found = {}
  for _, job_type in ipairs(wanted) do
    if not is_paused(job_type) then found[#found + 1] = job_type end
  end
  return found
end

-- Return those types that have pending jobs.
local function with_pending(job_types)
  local found = {}
  for _, job_type in ipairs(job_types) do
    local score = call('ZRANGE', index_key('p', job_type), 0, 0, 'WITHSCORES')[2]
    is_pending[job_type] = score ~= nil
    if score then
      first_rank[job_type] = math.floor(score / RANK)
      found[#found + 1] = job_type
    end
  end
  return found
end

-- Return those that a claim got whose answer was lost, and that are still its own.
local function claimed_before(claims)
  local found = {}
  for id, token in claims:gmatch('(%S+)|(%S+)') do
    local job = load(id)
    if job and job.k == token then found[#found + 1] = shown(job) end
  end
  return found
end

-- Move started jobs of one type to their new places: many at once, for it is cheaper.
local function move_started(job_type, started)
  for first = 1, #started, MOVED_AT_ONCE do
    local members, places, leases = {}, {}, {}
    for n = 1, math.min(MOVED_AT_ONCE, #started - first + 1) do
      local job = started[first + n - 1]
      members[n] = member(job)
      places[2 * n - 1], places[2 * n] = NOW, members[n]
      leases[2 * n - 1], leases[2 * n] = text(now + job.ln), job.id .. '|' .. job.k
    end
    call('ZREM', index_key('p', job_type), unpack(members))
    call('ZADD', index_key('a', job_type), unpack(places))
    call('ZADD', PREFIX .. 'leases', unpack(leases))
  end
end

-- Tell whether there is something of a type to be claimed, now or later.
local function is_left(job_type)
  local has_end = not is_paused(job_type) or settings_of(job_type)[2]
  if has_end and is_pending[job_type] == nil then
    is_pending[job_type] = call('EXISTS', index_key('p', job_type)) == 1
  end
  return has_end and is_pending[job_type]
end

local function remove_markers(job_types)
  for first = 1, #job_types, MOVED_AT_ONCE do
    local markers = {}
    for n = first, math.min(#job_types, first + MOVED_AT_ONCE - 1) do
      markers[#markers + 1] = marker(job_types[n])
    end
    call('DEL', unpack(markers))
  end
end

-- ARGUMENTS  the token, to which each job's number is added; how many at most; the lease in ms; the worker's
--            id or ''; ms to keep what is found failed or ''; how many job types, -1 for all; these
-- RETURNS    {the jobs, when to claim again or '', '1' if it broke off: so many of the ready jobs had expired}
function operations.claim(at)
  local token, limit, lease = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local worker, keep = given(ARGV[at + 3]), tonumber(ARGV[at + 4])
  if remembered() then return {claimed_before(remembered()), '', ''} end
  sweep(SWEEP_PER_CLAIM, keep)
  local wanted = requested(at + 6, tonumber(ARGV[at + 5]))
  foresee_settings(wanted)
  is_pending, first_rank = {}, {}
  local job_types = claimable(wanted)
  local waiting = with_pending(job_types)
  local answer, claims, expired = {}, {}, 0
  for rank = 0, 2 do
    while #answer < limit and expired < EXPIRED_PER_CLAIM do
      local members = best(waiting, rank, limit - #answer)
      if #members == 0 then break end
      local started = {}
      for _, found in ipairs(members) do
        local job_type, job = found[2], load(id_of(found[1]))
        is_pending[job_type] = nil
        if not job or job.s ~= 'p' then
          call('ZREM', index_key('p', job_type), found[1])
        elseif job.sb and tonumber(job.sb) <= now then
          expire_now(job, keep)
          expired = expired + 1
          if expired == EXPIRED_PER_CLAIM then break end
        else
          start(job, token .. '.' .. #answer, lease, worker)
          started[job_type] = started[job_type] or {}
          table.insert(started[job_type], job)
          claims[#claims + 1] = job.id .. '|' .. job.k
          answer[#answer + 1] = shown(job, text(now + lease))
        end
      end
      for job_type, jobs in pairs(started) do move_started(job_type, jobs) end
    end
  end
  local is_full, is_broken_off = #answer == limit, expired == EXPIRED_PER_CLAIM
  local without = {}
  for _, job_type in ipairs(is_full and wanted or job_types) do
    -- Who claimed all that it asked for waits no more: what it left is somebody else's.
    if (is_full or is_broken_off) and is_left(job_type) then
      wake(job_type)
    else
      without[#without + 1] = job_type
    end
  end
  remove_markers(without)
  if #claims > 0 then remember(table.concat(claims, ' ')) end
  if is_full then return {answer, '', ''} end
  return {answer, is_broken_off and NOW or next_due(wanted, is_pending), is_broken_off and '1' or ''}
end
