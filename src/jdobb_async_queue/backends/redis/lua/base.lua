-- What all operations share: the arguments of the call, its clock, and small helpers.

local call, PREFIX, CALL, RESENT = redis.call, ARGV[1], ARGV[3], ARGV[4] == '1'
local UPDATES_KEPT = tonumber(ARGV[5])
local operations = {}
local at_end = {} -- what is done when all operations have run
local current = 0 -- the number of the operation that runs

-- Whole numbers go to Redis as text: beyond 14 digits Lua would round them on its own.
local texts = {}

local function text(number)
  local found = texts[number]
  if not found then
    found = string.format('%.0f', number)
    texts[number] = found
  end
  return found
end

local now = tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local NOW = text(now)

-- '' stands for None in arguments where the empty string has no meaning of its own.
local function given(value)
  if value ~= '' then return value end
end

-- Elsewhere a text has a '=' before it.
local function said(value)
  if value ~= '' then return value:sub(2) end
end
