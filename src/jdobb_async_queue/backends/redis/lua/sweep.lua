-- sweep: rescue jobs whose lease ran out, expire those that did not start in time.

local LOST = '"type": "LeaseLost", "message": "the lease ran out: its worker died or stalled", "traceback": null'

-- End an attempt whose lease is lost: back to the old place, or with `failure` to the end of the job.
local function lose(job, failure, keep)
  local started_at = job.a
  if not failure then write_log(job) end
  leave(job)
  add(job, 'ls', 1)
  note(job, LOST)
  if failure then
    finish_job(job, 'f', failure, keep)
    tally(job.t, 'failed')
  else
    await(job)
    tally(job.t, 'retried')
  end
  tally_run(job, started_at)
  tally_error(job, 'LeaseLost', 'the lease ran out')
end

local function expire(job, failure, keep)
  leave(job)
  finish_job(job, 'f', failure, keep)
  tally(job.t, 'failed')
  tally_error(job, 'Expired', failure)
end

-- What lifecycle.py decides of a job whose lease ran out, and of one that did not start in time.
local function rescue(job, keep)
  local losses = number(job, 'ls', 0) + 1
  lose(job, losses >= max_lost_of(job) and 'lease lost ' .. losses .. ' times' or nil, keep)
  save(job)
end

local function expire_now(job, keep)
  expire(job, string.format('expired: not started within %g s', job.ttl / 1000), keep)
  save(job)
end

-- rescue, expire: the same as moves of one job, when the caller has decided.
--
-- ARGUMENTS  id, token, version, show; the error, with '=' before it, or '' for another attempt; ms to keep
--            the job or ''
-- RETURNS    {outcome, job}
function operations.rescue(at)
  return move(at, PROCESSING, nil, function(job)
    lose(job, said(ARGV[at + 4]), tonumber(ARGV[at + 5]))
  end)
end

function operations.expire(at)
  return move(at, PENDING, nil, function(job)
    expire(job, said(ARGV[at + 4]), tonumber(ARGV[at + 5]))
  end)
end

local function sweep(limit, keep)
  local rescued = call('ZRANGEBYSCORE', PREFIX .. 'leases', '-inf', NOW, 'LIMIT', 0, limit)
  for _, lease in ipairs(rescued) do
    local id, token = lease:match('^(.*)|(.*)$')
    local job = load(id)
    if job and job.s == 'a' and job.k == token then
      rescue(job, keep)
    else
      call('ZREM', PREFIX .. 'leases', lease)
    end
  end
  local expired = call('ZRANGEBYSCORE', PREFIX .. 'deadlines', '-inf', NOW, 'LIMIT', 0, limit)
  for _, place in ipairs(expired) do
    local job = load(id_of(place))
    if job and job.s == 'p' and job.sb then
      expire_now(job, keep)
    else
      call('ZREM', PREFIX .. 'deadlines', place)
    end
  end
  return #rescued, #expired
end

-- ARGUMENTS  how many of each kind at most; ms to keep what fails or ''
-- RETURNS    {how many were rescued, how many expired}
function operations.sweep(at)
  return {sweep(tonumber(ARGV[at]), tonumber(ARGV[at + 1]))}
end
