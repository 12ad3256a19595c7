-- Indexes: writing jobs, and every index where a job belongs.

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
