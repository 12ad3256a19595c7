-- Change a job type. Arguments: the type, then fields and values; '' removes a field. Where there was none
-- to remove nothing changes, and a type that is not known does not become it.
-- Returns the type's whole hash, flat.
function operations.set_type(at, count)
  local job_type = ARGV[at]
  local key = PREFIX .. 'type:' .. job_type
  local changes = 0
  for field = at + 1, at + count - 1, 2 do
    if ARGV[field + 1] == '' then
      changes = changes + call('HDEL', key, ARGV[field])
    else
      call('HSET', key, ARGV[field], ARGV[field + 1])
      changes = changes + 1
    end
  end
  if changes == 0 then
    return call('HGETALL', key)
  end
  call('HSET', key, 'v', NOW .. '.' .. CALL)
  call('SADD', PREFIX .. 'settings', job_type)
  settings_read[job_type] = nil
  settings_of(job_type)
  wake(job_type)
  return call('HGETALL', key)
end
