-- store: insert new jobs, all of them or none.
--
-- A first pass decides about each job, as if the ones before it were stored, and writes nothing; only when it
-- refuses none does the second pass write.

local FIELDS = 13

-- Return a new job from its arguments.
local function parse(at)
  return {
    id = ARGV[at], s = 'p', t = ARGV[at + 1], w = ARGV[at + 2],
    delay = tonumber(ARGV[at + 3]), run_at = tonumber(ARGV[at + 4]), ttl = given(ARGV[at + 5]),
    ml = given(ARGV[at + 6]), uk = given(ARGV[at + 7]), us = given(ARGV[at + 8]), on_conflict = ARGV[at + 9],
    max_pending = tonumber(ARGV[at + 10]), is_same = ARGV[at + 11] == '1', payload = ARGV[at + 12],
  }
end

-- Return the data of a payload: the first of its parts; see wire.py.
local function data_of(payload)
  local size, rest = payload:match('^(%d+)[^\n]*\n()')
  return payload:sub(rest, rest + size - 1)
end

-- Refuse what the first pass finds; nil where it is fine. `planned` has what earlier jobs will have stored.
local function refusal(new, place, planned)
  local known = planned.jobs[new.id] or load(new.id)
  if known then
    local payload = known.payload or call('GET', key_of('d', new.id))
    if known.t ~= new.t then return {'exists', new.id} end
    if new.is_same or data_of(payload) == data_of(new.payload) then return nil end
    return {'compare', place, payload}
  end
  if new.uk then
    local held_by = planned.keys[unique_field(new.t, new.uk)] or holder_of(new.t, new.uk)
    if held_by then
      if new.on_conflict == 'reject' then return {'duplicate', held_by, new.t, new.uk} end
      if new.on_conflict == 'replace' and (planned.jobs[held_by] or load(held_by)).s == 'p' then
        planned.jobs[held_by] = {t = new.t, s = 'p', payload = new.payload}
      end
      return nil
    end
    planned.keys[unique_field(new.t, new.uk)] = new.id
  end
  local limit = max_pending_of(new.t) or new.max_pending
  local pending = planned.pending[new.t] or 0
  if limit and call('ZCARD', index_key('p', new.t)) + pending >= limit then
    return {'full', new.t, text(limit)}
  end
  planned.pending[new.t] = pending + 1
  planned.jobs[new.id] = new
end

local last_sequence, is_sequence_used

-- Return the next sequence number: 256 times the ms of the epoch, or one more than the last.
local function sequence()
  last_sequence = math.max(now * 256, (last_sequence or tonumber(call('GET', KEYS[1])) or 0) + 1)
  return string.format('%013x', last_sequence)
end

at_end[#at_end + 1] = function()
  if is_sequence_used then call('SET', KEYS[1], text(last_sequence)) end
end

local function run_at_of(new)
  if new.run_at and new.run_at > now then return new.run_at end
  return now + new.delay
end

-- Set what both a new and a replaced job take from the caller.
local function fill(job, new)
  local run_at = run_at_of(new)
  job.w = new.w
  job.r = text(run_at) ~= job.c and text(run_at) or nil
  job.ttl = new.ttl
  set_instant(job, 'sb', 'deadlines', new.ttl and text(run_at + new.ttl) or nil)
  job.ml = new.ml
  job.us = new.us
end

local are_known = {} -- job types of which this call has noted that they have jobs

local function note_type(job_type)
  if are_known[job_type] then return end
  call('SADD', PREFIX .. 'types', job_type)
  are_known[job_type] = true
end

local function insert(new)
  local job = {id = new.id}
  job.q = sequence()
  job.t = new.t
  job.s = 'p'
  job.c = NOW
  job.uk = new.uk
  fill(job, new)
  is_sequence_used = true
  hold_key(job)
  index(job)
  call('ZADD', PREFIX .. 'all:' .. job.t, text(tonumber(job.q, 16)), job.id)
  note_type(job.t)
  tally(job.t, 'enqueued')
  save(job, new.payload)
  return job
end

-- Give a waiting job new content; it keeps its id, its age and its place among equals.
local function replace(job, new)
  unindex(job)
  touch(job)
  for _, field in ipairs({'pg', 'm', 'e', 'ln'}) do job[field] = nil end
  fill(job, new)
  index(job)
  save(job, new.payload)
end

-- Store one job of which the first pass approved.
-- Returns {'created' or 'met', job}, the job's id, whether anything was changed.
local function store(new)
  local known = load(new.id)
  if known then return {'met', shown(known)}, known.id, false end
  local held_by = new.uk and holder_of(new.t, new.uk)
  if held_by then
    local held = load(held_by)
    local is_replaced = new.on_conflict == 'replace' and held.s == 'p'
    if is_replaced then replace(held, new) end
    return {'met', shown(held)}, held.id, is_replaced
  end
  return {'created', insert(new).q}, new.id, true
end

-- Return the answer of a store that was done, from what it remembered: when, and of each job.
local function stored_before(memory, jobs)
  local answer = {'stored'}
  local then_at, parts = memory:match('^(%d+) (.*)$')
  for sequence_then, id in parts:gmatch('(%S+)/(%S+)') do
    settings_of(jobs[#answer].t)
    local job = sequence_then == '-' and load(id)
    if job then
      answer[#answer + 1] = {'met', shown(job)}
    elseif sequence_then == '-' then
      return {'gone', id}
    else
      answer[#answer + 1] = {'created', sequence_then, then_at}
    end
  end
  return answer
end

-- idempotency  <scope>NUL<key> = fingerprint|job id|the end of its time; idempotency_ends sorts them by that.
-- Returns an answer if the key is known, else nil.
local function replay(field, fingerprint)
  local bound = call('HGET', PREFIX .. 'idempotency', field)
  if not bound then return nil end
  local known_fingerprint, known_id, ends = bound:match('^(.*)|(.*)|(%d+)$')
  if tonumber(ends) <= now then return nil end
  if known_fingerprint ~= fingerprint then return {'reused', known_id} end
  local job = load(known_id)
  if not job then return {'gone', known_id} end
  return {'stored', {'replayed', shown(job)}}
end

-- ARGUMENTS  the idempotency key's scope and key, NUL between them, or ''; its fingerprint; ms to keep it;
--            then for each job: id, type, weight, ms to wait, the instant to run at or '', ms to start
--            within or '', max_lost or '', unique key or '', '1' if that holds until the start only, what a
--            taken key means, the most pending jobs or '', '1' if an existing job is known to have equal
--            content, the payload
-- RETURNS    {'stored', {what, sequence or job}, …}, where what is created, met or replayed, and what was
--            created before now has the instant after its sequence; or a refusal:
--            {'exists', id}, {'compare', place, payload} (are its data equal?), {'duplicate', id, type, key},
--            {'full', type, limit}, {'reused', id}, {'gone', id}
function operations.store(at, count)
  local field, fingerprint, keep = given(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  local jobs = {}
  for place = at + 3, at + count - 1, FIELDS do jobs[#jobs + 1] = parse(place) end
  if remembered() then return stored_before(remembered(), jobs) end
  if field then
    local answer = replay(field, fingerprint)
    if answer then return answer end
  end
  local planned = {jobs = {}, keys = {}, pending = {}}
  for place, new in ipairs(jobs) do
    local refused = refusal(new, place, planned)
    if refused then return refused end
  end
  local answer, parts, is_changed, first_id = {'stored'}, {}, field ~= nil, nil
  for place, new in ipairs(jobs) do
    settings_of(new.t)
    local stored, id, has_changed = store(new)
    answer[place + 1] = stored
    parts[place] = (stored[1] == 'created' and stored[2] or '-') .. '/' .. id
    is_changed = is_changed or has_changed
    first_id = first_id or id
  end
  if field then
    local ends = text(now + keep)
    call('HSET', PREFIX .. 'idempotency', field, fingerprint .. '|' .. first_id .. '|' .. ends)
    call('ZADD', PREFIX .. 'idempotency_ends', ends, field)
  end
  if is_changed then remember(NOW .. ' ' .. table.concat(parts, ' ')) end
  return answer
end
