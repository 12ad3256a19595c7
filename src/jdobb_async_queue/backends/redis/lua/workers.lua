-- The registry of workers.
--
-- workers            id = its entry as JSON, which nothing here reads
-- worker_beats       ids by the instant of the last heartbeat
-- worker_directives  id = what it has been told, if anything

local function forget_worker(id)
  call('ZREM', PREFIX .. 'worker_beats', id)
  call('HDEL', PREFIX .. 'workers', id)
  call('HDEL', PREFIX .. 'worker_directives', id)
end

-- ARGUMENTS  the worker's id; its entry
-- RETURNS    the directive set for it, or ''
function operations.beat(at)
  local id = ARGV[at]
  call('HSET', PREFIX .. 'workers', id, ARGV[at + 1])
  call('ZADD', PREFIX .. 'worker_beats', NOW, id)
  return call('HGET', PREFIX .. 'worker_directives', id) or ''
end

-- RETURNS    for each worker {its entry, the last heartbeat, its directive or ''}
function operations.workers()
  local answer = {}
  local beats = call('ZRANGE', PREFIX .. 'worker_beats', 0, -1, 'WITHSCORES')
  for i = 1, #beats, 2 do
    answer[#answer + 1] = {
      call('HGET', PREFIX .. 'workers', beats[i]), beats[i + 1],
      call('HGET', PREFIX .. 'worker_directives', beats[i]) or '',
    }
  end
  return answer
end

-- ARGUMENTS  the worker's id; its directive
-- RETURNS    1, or 0 when there is no such worker
function operations.signal(at)
  if call('HEXISTS', PREFIX .. 'workers', ARGV[at]) == 0 then return 0 end
  call('HSET', PREFIX .. 'worker_directives', ARGV[at], ARGV[at + 1])
  call('PUBLISH', PREFIX .. 'control', '')
  return 1
end

-- ARGUMENTS  the worker's id
function operations.forget(at)
  forget_worker(ARGV[at])
  return 1
end
