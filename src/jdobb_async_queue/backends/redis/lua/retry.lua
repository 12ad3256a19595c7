-- retry: make a failed or cancelled job ready again, as if it had never run.
--
-- ARGUMENTS  id, token, version, show
-- RETURNS    {outcome, job}; the outcome `conflict` when another live job holds its unique key
local RETRYABLE = {f = true, x = true}

function operations.retry(at)
  return move(at, RETRYABLE, nil, function(job)
    if job.uk and holder_of(job.t, job.uk) then return 'conflict' end
    write_log(job)
    leave(job)
    for _, field in ipairs({'fl', 'ls', 'pg', 'm', 'e', 'f'}) do job[field] = nil end
    set_instant(job, 'x', 'prune', nil)
    if job.ttl then set_instant(job, 'sb', 'deadlines', text(now + job.ttl)) end
    hold_key(job)
    await(job, 0)
  end)
end
