-- report, log, send: tell something of a live job.

-- report: progress (never backwards) and a message; with a token it renews the lease.
--
-- ARGUMENTS  id, token, version, show; the progress or ''; the message, with '=' before it, or ''
-- RETURNS    {outcome, job}
function operations.update(at)
  return move(at, LIVE, nil, function(job, token)
    if token then
      call('ZADD', PREFIX .. 'leases', 'XX', text(now + job.ln), job.id .. '|' .. token)
    end
    local progress, message = given(ARGV[at + 4]), said(ARGV[at + 5])
    if progress and tonumber(progress) <= number(job, 'pg', 0) then progress = nil end
    if message == job.m then message = nil end
    if not progress and not message then return UNCHANGED end
    write_log(job)
    if progress then job.pg = progress end
    if message then job.m = message end
    touch(job)
    announce(job, 'p')
  end)
end

-- log: a line for the update log; the job stays as it is.
--
-- ARGUMENTS  id, token, version, show; the line, with '=' before it
-- RETURNS    {outcome, job}
function operations.log(at)
  return move(at, PROCESSING, nil, function(job)
    write_log(job)
    announce(job, 'l', said(ARGV[at + 4]))
  end)
end

-- send: a custom update; the job stays as it is.
--
-- ARGUMENTS  id, token, version, show; the progress or ''; the message, with '=' before it, or ''; data as
--            JSON or ''
-- RETURNS    {outcome, job}
function operations.send(at)
  return move(at, LIVE, nil, function(job)
    write_log(job)
    announce(job, 'c', said(ARGV[at + 5]), nil, given(ARGV[at + 4]), given(ARGV[at + 6]))
  end)
end
