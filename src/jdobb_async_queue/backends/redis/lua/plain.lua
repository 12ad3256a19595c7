-- plain: insert new jobs that nothing speaks against, all jobs of a call at once.
--
-- Most jobs are new, wait for nothing and have no key, and what a call costs is not its commands but the
-- functions and tables of its script. So this one has no parts: it does what store.lua does for such a job, or
-- writes nothing and leaves the call to store.lua, which tells its callers why. The first write is the one that
-- Redis would refuse, so nothing is half done.
--
-- KEYS       as of run.lua
-- ARGV       as of run.lua; an operation's arguments are, for each job: id, type, weight, the most pending jobs
--            or '', the payload
-- RETURNS    now; for each operation the sequence of its first job, which the others follow, or nothing
--            for all; then job types with their settings' versions, flat; and when it was done, if before now

local FIELDS = 5
local RANK_OF = {['10'] = 0, ['5'] = 1, ['1'] = 2}
local RANK, MINUTE, KEPT = 281474976710656, 60000, 60000 -- see jobs.lua, figures.lua, again.lua
local call, format, PREFIX, CALL, IS_RESENT = redis.call, string.format, ARGV[1], ARGV[3], ARGV[4] == '1'
local calls = PREFIX .. 'calls:' .. CALL:match('^[^.]*')
local now = tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local NOW = format('%.0f', now)

local first, done_at
local kept = IS_RESENT and call('GET', calls)
if kept then -- was it done, and only the answer lost?
  local name, instant, sequence = kept:match('^(%S+)\n(%d+) (%d+)$')
  if name == CALL then first, done_at = tonumber(sequence), instant end
end
if not done_at then first = math.max(now * 256, (tonumber(call('GET', KEYS[1])) or 0) + 1) end

-- What each key gets, as arguments of the command that writes it.
local job_keys, values, types, of_type, answers = {}, {}, {}, {}, {}
local jobs, seen, is_twice = 0, {}, false
local begin_of_job, begin_of_payload, end_of_job = PREFIX .. 'j:', PREFIX .. 'd:', '","c":"' .. NOW .. '"}'
local at, last = 6, #ARGV
while at <= last do
  answers[#answers + 1] = first + jobs
  local behind = at + 2 + ARGV[at + 1]
  for place = at + 2, behind - 1, FIELDS do
    local id, job_type, weight, limit = ARGV[place], ARGV[place + 1], ARGV[place + 2], ARGV[place + 3]
    local its = of_type[job_type]
    if not its then
      its = {count = 0, pending = {'ZADD', PREFIX .. 'x:p:' .. job_type}, all = {'ZADD', PREFIX .. 'all:' .. job_type}}
      of_type[job_type] = its
      types[#types + 1] = job_type
    end
    local sequence = first + jobs
    local hexadecimal = format('%013x', sequence)
    local all, pending, count, key = its.all, its.pending, 2 * its.count, begin_of_job .. id
    pending[count + 3], pending[count + 4] = RANK_OF[weight] * RANK + now, hexadecimal .. id
    all[count + 3], all[count + 4] = sequence, id
    its.count = its.count + 1
    if limit ~= '' then its.limit = math.min(tonumber(limit), its.limit or math.huge) end
    is_twice = is_twice or seen[id]
    seen[id] = true
    job_keys[jobs + 1] = key
    values[4 * jobs + 1] = key
    -- names need no escapes
    values[4 * jobs + 2] = '{"id":"' .. id .. '","t":"' .. job_type .. '","s":"p","w":"' .. weight .. '","q":"'
      .. hexadecimal .. end_of_job
    values[4 * jobs + 3] = begin_of_payload .. id
    values[4 * jobs + 4] = ARGV[place + 4]
    jobs = jobs + 1
  end
  at = behind
end

local is_refused = not done_at and (is_twice or call('EXISTS', unpack(job_keys)) > 0)
local versions = {}
for place, job_type in ipairs(types) do
  local its = of_type[job_type]
  local limit, published_limit, version = unpack(call('HMGET', PREFIX .. 'type:' .. job_type, 'om', 'pm', 'v'))
  limit = tonumber(limit or published_limit or its.limit)
  versions[2 * place - 1], versions[2 * place] = job_type, version or '0'
  if limit and not done_at then
    is_refused = is_refused or call('ZCARD', its.pending[2]) + its.count > limit
  end
end
if is_refused then
  for place in ipairs(answers) do answers[place] = false end
elseif not done_at then
  call('MSET', unpack(values))
  local minute = format('%.0f', now - now % MINUTE)
  local is_new = false -- a new minute has new fields only
  for _, job_type in ipairs(types) do
    local its = of_type[job_type]
    call(unpack(its.pending))
    call(unpack(its.all))
    local counted = call('HINCRBY', PREFIX .. 'minute:' .. minute, job_type .. '|enqueued|0', its.count)
    is_new = is_new or counted == its.count
    call('ZADD', PREFIX .. 'wake:' .. job_type, 0, '1')
  end
  call('SADD', PREFIX .. 'types', unpack(types))
  if is_new then call('ZADD', PREFIX .. 'minutes', minute, minute) end
  call('ZADD', PREFIX .. 'wake', 0, '1')
  call('SET', KEYS[1], format('%.0f', first + jobs - 1))
  call('SET', calls, CALL .. '\n' .. NOW .. ' ' .. format('%.0f', first), 'PX', KEPT)
end
return {NOW, answers, versions, done_at}
