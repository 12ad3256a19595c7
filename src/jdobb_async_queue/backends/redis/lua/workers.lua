-- The registry of workers.
--
-- worker:<name>  its entry: what it said of itself, as wire.py writes it, and the directive, if it has one
-- worker_beats   ids by the instant of the last heartbeat

local function forget_worker(id)
  call('ZREM', PREFIX .. 'worker_beats', id)
  call('DEL', PREFIX .. 'worker:' .. id)
end

-- ARGUMENTS  the worker's id; then what it says, as names and values
-- RETURNS    the directive set for it, or ''
function operations.beat(at, count)
  local id = ARGV[at]
  local key = PREFIX .. 'worker:' .. id
  for place = at + 1, at + count - 1, 2 do call('HSET', key, ARGV[place], ARGV[place + 1]) end
  call('HSETNX', key, 'started_at', NOW)
  call('ZADD', PREFIX .. 'worker_beats', NOW, id)
  return call('HGET', key, 'directive') or ''
end

-- ARGUMENTS  the worker's id; its directive
-- RETURNS    1, or 0 when there is no such worker
function operations.signal(at)
  local key = PREFIX .. 'worker:' .. ARGV[at]
  if call('EXISTS', key) == 0 then return 0 end
  call('HSET', key, 'directive', ARGV[at + 1])
  call('PUBLISH', PREFIX .. 'control', '')
  return 1
end

-- ARGUMENTS  the worker's id
function operations.forget(at)
  forget_worker(ARGV[at])
  return 1
end
