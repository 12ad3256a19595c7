-- Again: what a call did, for the case that its answer is lost and it is sent again.
--
-- calls:<caller>  the caller's last call that changed anything, then a line for each operation that did:
--                 its number and what it needs to answer once more. A caller waits for each answer before it
--                 makes the next call, so the last one is enough; it tries for a few seconds only.

local KEPT = 60000
local CALLER = CALL:match('^[^.]*')
local done_now, done_before = {}, {}

if RESENT then
  local kept = call('GET', PREFIX .. 'calls:' .. CALLER)
  local name, lines = (kept or ''):match('^(%S+)\n(.*)$')
  if name == CALL then
    for number_then, what in lines:gmatch('(%d+) ([^\n]*)\n') do done_before[tonumber(number_then)] = what end
  end
end

-- Return what this operation remembered, if it was done and only its answer was lost.
local function remembered()
  return done_before[current]
end

-- Remember that this operation changed something. `what` has no line breaks.
local function remember(what)
  done_now[#done_now + 1] = current .. ' ' .. what .. '\n'
end

at_end[#at_end + 1] = function()
  if #done_now > 0 then
    call('SET', PREFIX .. 'calls:' .. CALLER, CALL .. '\n' .. table.concat(done_now), 'PX', KEPT)
  end
end
