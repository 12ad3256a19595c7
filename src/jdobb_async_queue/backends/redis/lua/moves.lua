-- Moves: the guard that all share, and what leaving one status and entering another has in common.
--
-- A move's arguments are the job's id, a lease token with '=' before it or '', a version or '', '1' if the
-- answer shall show the job also when it was moved; then its own. Its answer is {outcome, the job as `shown` or false}.

local LIVE, PENDING, PROCESSING = {p = true, a = true}, {p = true}, {a = true}
local MAX_ERRORS = 20
local UNCHANGED = 'unchanged'

-- Move a job if the guard allows it: `effect` does it, and may instead return why it did nothing: an outcome, or
-- UNCHANGED, which counts as ok.
-- `settling` is the name of a move that ends an attempt.
local function move(at, allowed, settling, effect)
  local job = load(ARGV[at])
  if remembered() then return {'ok', job and ARGV[at + 3] == '1' and shown(job) or false} end
  if not job then return {'unknown', false} end
  local token, version = said(ARGV[at + 1]), given(ARGV[at + 2])
  local outcome
  if token and token ~= job.k then
    outcome = settling and job.st == settling .. ' ' .. token and 'repeated' or 'stale'
  elseif not allowed[job.s] then
    outcome = 'terminal'
  elseif version and tonumber(version) ~= number(job, 'v', 1) then
    outcome = 'stale'
  else
    outcome = effect(job, token) or 'ok'
    if outcome == 'ok' then
      save(job)
      remember('')
    elseif outcome == UNCHANGED then
      outcome = 'ok'
    end
  end
  return {outcome, (outcome ~= 'ok' or ARGV[at + 3] == '1') and shown(job)}
end

-- Leave the present status. `settled` is the call, with its token, that ended an attempt.
local function leave(job, settled)
  unindex(job)
  touch(job)
  if settled then job.st = settled end
  job.k = nil
end

-- Write down what went wrong in an attempt; `fragment` is JSON: the error's type, message and traceback.
local function note(job, fragment)
  local key = key_of('e', job.id)
  local line = string.format('{"attempt": %s, %s, "at": %.3f}', job.n or '0', fragment, now / 1000)
  if call('RPUSH', key, line) > MAX_ERRORS then call('LPOP', key) end
  job.er = '1'
end

-- Enter a terminal status. `keep` is how many ms the job is kept then, nil for ever.
local function finish_job(job, status, failure, keep)
  job.s = status
  job.f = NOW
  free_key(job)
  set_instant(job, 'sb', 'deadlines', nil)
  job.e = failure
  if keep then set_instant(job, 'x', 'prune', text(now + keep)) end
  index(job)
  announce(job, STATUS_KIND)
end

-- Enter pending, `delay` ms from now, or at the old place when it is nil.
local function await(job, delay, failure)
  job.s = 'p'
  if delay then job.r = text(now + delay) end
  index(job)
  announce(job, STATUS_KIND, nil, failure)
end
