-- release: give a claimed job back, unused.
--
-- ARGUMENTS  id, token, version, show; ms until it is ready, or '' for its old place
-- RETURNS    {outcome, job}
function operations.release(at)
  return move(at, PROCESSING, 'release', function(job, token)
    local started_at = job.a
    write_log(job)
    leave(job, token and 'release ' .. token)
    await(job, tonumber(ARGV[at + 4]))
    tally_run(job, started_at)
  end)
end
