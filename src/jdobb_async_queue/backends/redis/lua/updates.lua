-- Updates: what happened to a job, in order, for those who watch it.
--
-- The usual life, a start and an end, is not written out: both updates can be told from the job's fields.
-- The first other update writes the log: a list whose entries are
--   seq|kind|status|attempt|progress|at|length of the message or -|length of the error or -|message error data

local STATUS_KIND = 's'

local function entry(seq, kind, job, at, progress, message, failure, data)
  return table.concat({
    seq, kind, job.s, job.n or '0', progress or '0', at, message and #message or '-',
    failure and #failure or '-', (message or '') .. (failure or '') .. (data or ''),
  }, '|')
end

local function push(job, line)
  local key = key_of('u', job.id)
  local length = call('RPUSH', key, line)
  while length > UPDATES_KEPT do
    job.tr = call('LPOP', key):match('^%d+')
    length = length - 1
  end
end

-- Write the log out. Called before the job's fields change: they tell what the updates so far were.
local function write_log(job)
  if job.lg then return end
  job.lg = '1'
  local status = job.s
  if job.l1 then
    job.s = 'a'
    push(job, entry(job.l1, STATUS_KIND, job, job.a))
    job.s = status
    job.l1 = nil
  end
  if TERMINAL[status] then
    push(job, entry(job.l, STATUS_KIND, job, job.f, job.pg, job.m, job.e))
  end
end

-- Announce an update of a job as it is now.
local function announce(job, kind, message, failure, progress, data)
  local seq = math.max(now * 1000, number(job, 'l', 0) + 1)
  local is_first = not job.l
  job.l = text(seq)
  if job.lg then
    push(job, entry(job.l, kind, job, NOW, progress or job.pg, message or job.m, failure or job.e, data))
  elseif job.s == 'a' and is_first then
    job.l1 = job.l
  end
  call('PUBLISH', key_of('job', job.id), '')
end
