-- Jobs: what is kept of each, and what is shown of it.
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

local function number(job, field, default)
  return tonumber(job[field]) or default
end

local function index_key(status, job_type)
  return PREFIX .. 'x:' .. status .. ':' .. job_type
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
