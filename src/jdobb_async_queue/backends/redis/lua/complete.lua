-- complete: finish a live job with its results.
--
-- ARGUMENTS  id, token, version, show; the results as JSON or ''; ms to keep the job or ''
-- RETURNS    {outcome, job}
function operations.complete(at)
  return move(at, LIVE, 'complete', function(job, token)
    local started_at = job.s == 'a' and job.a
    leave(job, token and 'complete ' .. token)
    job.pg = '1'
    local results = given(ARGV[at + 4])
    if results then call('SET', key_of('o', job.id), results) end
    finish_job(job, 'c', nil, tonumber(ARGV[at + 5]))
    tally(job.t, 'complete')
    tally_run(job, started_at)
  end)
end
