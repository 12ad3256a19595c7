-- heartbeat: renew leases, or look at them.
--
-- ARGUMENTS  for each lease: the job's id, the token, '1' to renew it
-- RETURNS    for each lease {ok, lost or cancelled; ms until it ends}
function operations.heartbeat(at, count)
  local answer = {}
  for place = at, at + count - 1, 3 do
    local id, token = ARGV[place], ARGV[place + 1]
    local found = call('HMGET', key_of('j', id), 's', 'k', 'ln', 'st')
    if found[1] == 'a' and found[2] == token then
      local lease = id .. '|' .. token
      if ARGV[place + 2] == '1' then
        call('ZADD', PREFIX .. 'leases', 'XX', text(now + found[3]), lease)
      end
      local ends = tonumber(call('ZSCORE', PREFIX .. 'leases', lease) or NOW)
      answer[#answer + 1] = {'ok', text(math.max(0, ends - now))}
    else
      answer[#answer + 1] = {found[1] == 'x' and found[4] == 'cancel ' .. token and 'cancelled' or 'lost', '0'}
    end
  end
  return answer
end
