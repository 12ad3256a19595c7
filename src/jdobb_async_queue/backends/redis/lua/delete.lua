-- delete, prune: remove terminal jobs.

-- ARGUMENTS  ids
-- RETURNS    for each: ok, unknown, or terminal when it is not
function operations.delete(at, count)
  local answer, removed, removed_before = {}, {}, {}
  for id in (remembered() or ''):gmatch('%S+') do removed_before[id] = true end
  for place = at, at + count - 1 do
    local id = ARGV[place]
    local job = load(id)
    if removed_before[id] then
      answer[#answer + 1] = 'ok'
      removed_before[id] = nil
    elseif not job then
      answer[#answer + 1] = 'unknown'
    elseif not TERMINAL[job.s] then
      answer[#answer + 1] = 'terminal'
    else
      remove(job)
      removed[#removed + 1] = id
      answer[#answer + 1] = 'ok'
    end
  end
  if #removed > 0 then remember(table.concat(removed, ' ')) end
  return answer
end

local DAY = 86400000

-- Remove hashes of figures that are older than a day.
local function forget_figures(index_name, prefix, length, limit)
  local before = text(now - DAY - length)
  for _, instant in ipairs(call('ZRANGEBYSCORE', PREFIX .. index_name, '-inf', '(' .. before, 'LIMIT', 0, limit)) do
    call('ZREM', PREFIX .. index_name, instant)
    call('DEL', PREFIX .. prefix .. ':' .. instant)
  end
end

-- ARGUMENTS  how many of each kind at most
-- RETURNS    how many jobs were removed
function operations.prune(at)
  local limit = ARGV[at]
  local over = call('ZRANGEBYSCORE', PREFIX .. 'prune', '-inf', NOW, 'LIMIT', 0, limit)
  for _, place in ipairs(over) do
    local job = load(id_of(place))
    if job and TERMINAL[job.s] then remove(job) else call('ZREM', PREFIX .. 'prune', place) end
  end
  for _, field in ipairs(call('ZRANGEBYSCORE', PREFIX .. 'idempotency_ends', '-inf', NOW, 'LIMIT', 0, limit)) do
    call('ZREM', PREFIX .. 'idempotency_ends', field)
    call('HDEL', PREFIX .. 'idempotency', field)
  end
  local silent = call('ZRANGEBYSCORE', PREFIX .. 'worker_beats', '-inf', '(' .. text(now - DAY), 'LIMIT', 0, limit)
  for _, id in ipairs(silent) do
    forget_worker(id)
  end
  forget_figures('minutes', 'minute', MINUTE, limit)
  forget_figures('hours', 'errors', HOUR, limit)
  return #over
end
