-- cancel: end a live job at once; whoever runs it has lost its lease and is told.
--
-- ARGUMENTS  id, token, version, show; the reason, with '=' before it, or ''; ms to keep the job or ''
-- RETURNS    {outcome, job}
function operations.cancel(at)
  return move(at, LIVE, nil, function(job)
    local started_at = job.s == 'a' and job.a
    leave(job, job.k and 'cancel ' .. job.k)
    finish_job(job, 'x', said(ARGV[at + 4]), tonumber(ARGV[at + 5]))
    tally(job.t, 'cancelled')
    tally_run(job, started_at)
    if started_at then call('PUBLISH', PREFIX .. 'control', '') end
  end)
end
