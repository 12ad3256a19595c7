-- Jobs: what is kept of each, and every index where a job belongs.
--
-- A job is one JSON object in a string: to read and write it whole costs half of what the fields of a hash do.
-- Its values are texts. The fields (absent where they have their usual value):
--   id · t job type · s status: p pending, a processing, c complete, f failed, x cancelled · w weight
--   q sequence, 13 hexadecimal digits · c, u, r, a, f instants: created, updated, run at, started, completed
--   v version (1) · e error · pg progress (0) · m message · ttl, sb ms to start within, and until when
--   n, fl, ls attempts, failures, losses (0) · ml its own max_lost · uk unique key, us '1': until started,
--   hk '1': holds it · wi worker · k, ln lease token and length in ms · st the last settling call with its token
--   x when it may be pruned · l, tr the seq of the latest and of the last trimmed update
--   l1 seq of the first start while the log is not written out · lg '1': it is · er '1': has errors

local RANK_OF = {['10'] = 0, ['5'] = 1, ['1'] = 2}
local RANK = 281474976710656 -- 2^48 ms lie beyond the year 9999
local TERMINAL = {c = true, f = true, x = true}

local function key_of(kind, id)
  return PREFIX .. kind .. ':' .. id
end

local as_stored = {} -- what this call last read or wrote of a job, by id; false where there is none

local function load(id)
  local stored = as_stored[id]
  if stored == nil then
    stored = call('GET', key_of('j', id))
    as_stored[id] = stored
  end
  if stored then return cjson.decode(stored) end
end

-- Write a job, with its payload when that is new. Done once, and last.
local function save(job, payload)
  local stored = cjson.encode(job)
  as_stored[job.id] = stored
  if payload then
    call('MSET', key_of('j', job.id), stored, key_of('d', job.id), payload)
  else
    call('SET', key_of('j', job.id), stored)
  end
end

local function number(job, field, default)
  return tonumber(job[field]) or default
end

local function add(job, field, by)
  job[field] = text(number(job, field, 0) + by)
end

-- Count a change of the job.
local function touch(job)
  add(job, 'v', job.v and 1 or 2)
  job.u = NOW
end

-- The sequence in front makes jobs with equal scores come in the order in which they were enqueued.
local function member(job)
  return job.q .. job.id
end

local function id_of(index_member)
  return index_member:sub(14)
end

local function index_key(status, job_type)
  return PREFIX .. 'x:' .. status .. ':' .. job_type
end

-- Take a job out of the index of its status.
local function unindex(job)
  call('ZREM', index_key(job.s, job.t), member(job))
  if job.s == 'a' and job.k then
    call('ZREM', PREFIX .. 'leases', job.id .. '|' .. job.k)
  end
end

-- Put a job into the index of its status.
local function index(job)
  local score
  if job.s == 'p' then
    score = text(RANK_OF[job.w] * RANK + number(job, 'r', tonumber(job.c)))
    wake(job.t)
  else
    score = job.s == 'a' and job.a or job.f
  end
  call('ZADD', index_key(job.s, job.t), score, member(job))
end

-- Keep a job in, or out of, the index `name` of the instants in `field`.
local function set_instant(job, field, name, instant)
  if instant then
    call('ZADD', PREFIX .. name, instant, member(job))
  elseif job[field] then
    call('ZREM', PREFIX .. name, member(job))
  end
  job[field] = instant
end

local function unique_field(job_type, unique_key)
  return job_type .. ' ' .. unique_key
end

local function free_key(job)
  if job.hk then
    call('HDEL', PREFIX .. 'unique', unique_field(job.t, job.uk))
    job.hk = nil
  end
end

local function hold_key(job)
  if job.uk then
    call('HSET', PREFIX .. 'unique', unique_field(job.t, job.uk), job.id)
    job.hk = '1'
  end
end

local function holder_of(job_type, unique_key)
  return call('HGET', PREFIX .. 'unique', unique_field(job_type, unique_key))
end

-- Remove a terminal job with all that belongs to it.
local function remove(job)
  as_stored[job.id] = false
  unindex(job)
  call('DEL', key_of('j', job.id), key_of('d', job.id), key_of('o', job.id), key_of('u', job.id),
    key_of('e', job.id))
  call('ZREM', PREFIX .. 'all:' .. job.t, job.id)
  if job.x then call('ZREM', PREFIX .. 'prune', member(job)) end
  if call('EXISTS', PREFIX .. 'all:' .. job.t) == 0 then
    call('SREM', PREFIX .. 'types', job.t)
  end
  call('PUBLISH', key_of('job', job.id), '')
end

-- What an answer says of a job as it was last read or saved: itself, when its lease ends, its payload, its
-- results, its errors. `ends` spares a look if the caller knows it.
local function shown(job, ends)
  settings_of(job.t)
  ends = ends or job.s == 'a' and call('ZSCORE', PREFIX .. 'leases', job.id .. '|' .. job.k)
  return {
    as_stored[job.id], ends or '', call('GET', key_of('d', job.id)) or '',
    job.s == 'c' and call('GET', key_of('o', job.id)) or '',
    job.er and call('LRANGE', key_of('e', job.id), 0, -1) or {},
  }
end
