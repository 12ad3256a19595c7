-- sweep: rescue jobs whose lease ran out, expire those that did not start in time.

local LOST = '"type": "LeaseLost", "message": "the lease ran out: its worker died or stalled", "traceback": null'

-- Put a job whose lease ran out back at its old place, or end it at its last permitted loss.
local function rescue(job, keep)
  local started_at = job.a
  local losses = number(job, 'ls', 0) + 1
  local is_over = losses >= max_lost_of(job)
  if not is_over then write_log(job) end
  leave(job)
  set(job, 'ls', text(losses))
  note(job, LOST)
  if is_over then
    finish_job(job, 'f', 'lease lost ' .. losses .. ' times', keep)
    tally(job.t, 'failed')
  else
    await(job)
    tally(job.t, 'retried')
  end
  tally_run(job, started_at)
  tally_error(job, 'LeaseLost', 'the lease ran out')
  save(job)
end

-- End a job that did not start its first attempt within its ttl.
local function expire(job, keep)
  local message = string.format('expired: not started within %g s', job.ttl / 1000)
  leave(job)
  finish_job(job, 'f', message, keep)
  tally(job.t, 'failed')
  tally_error(job, 'Expired', message)
  save(job)
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
      expire(job, keep)
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
