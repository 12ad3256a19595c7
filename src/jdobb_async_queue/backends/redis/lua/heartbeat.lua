-- heartbeat: renew leases, or look at them.
--
-- ARGUMENTS  for each lease: the job's id, the token, '1' to renew it
-- RETURNS    for each lease {ok, lost or cancelled; ms until it ends}
function operations.heartbeat(at, count)
  local answer = {}
  for place = at, at + count - 1, 3 do
    local id, token = ARGV[place], ARGV[place + 1]
    local job = load(id)
    if job and job.s == 'a' and job.k == token then
      local lease = id .. '|' .. token
      if ARGV[place + 2] == '1' then
        call('ZADD', PREFIX .. 'leases', 'XX', text(now + job.ln), lease)
      end
      local ends = tonumber(call('ZSCORE', PREFIX .. 'leases', lease) or NOW)
      answer[#answer + 1] = {'ok', text(math.max(0, ends - now))}
    else
      local is_cancelled = job and job.s == 'x' and job.st == 'cancel ' .. token
      answer[#answer + 1] = {is_cancelled and 'cancelled' or 'lost', '0'}
    end
  end
  return answer
end
