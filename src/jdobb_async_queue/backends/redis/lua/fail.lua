-- fail: count a failed attempt; the job waits for the next one, or has failed.
--
-- ARGUMENTS  id, token, version, show; ms to the next attempt, or '' when there is none; the error as a JSON
--            fragment; its type and its message as the figures keep them; its message in full; ms to keep
--            the job or ''
-- RETURNS    {outcome, job}
function operations.fail(at)
  return move(at, LIVE, 'fail', function(job, token)
    local started_at = job.s == 'a' and job.a
    local delay, message = tonumber(ARGV[at + 4]), said(ARGV[at + 8])
    if delay then write_log(job) end
    leave(job, token and 'fail ' .. token)
    add(job, 'fl', 1)
    note(job, ARGV[at + 5])
    if delay then
      await(job, delay, message)
      tally(job.t, 'retried')
    else
      finish_job(job, 'f', message, tonumber(ARGV[at + 9]))
      tally(job.t, 'failed')
    end
    tally_run(job, started_at)
    tally_error(job, ARGV[at + 6], ARGV[at + 7])
  end)
end
