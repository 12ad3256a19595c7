-- Runs the operations of one call, in order, each for itself: one that fails harms no other.
--
-- KEYS   1 the sequence, which exists; 2 a key that never exists. A slot that is being migrated then refuses
--        the whole call before it begins (TRYAGAIN) instead of breaking it off half-way.
-- ARGV   1 the prefix of all keys; 2 now in ms, or '' for the server's clock; 3 the name of this call;
--        4 '1' when it is sent again because its answer was lost; 5 how many updates a job keeps;
--        then for each operation its name, the number of its arguments, and these.
-- RETURN now; one answer for each operation; then job types with their settings' versions, flat.
--
-- An answer {'!', text} is an error that nobody foresaw; the operation may be half done. Only a replica, which
-- takes no write at all, refuses the whole call.

local answers = {}
local at = 6
while ARGV[at] do
  local name, count = ARGV[at], tonumber(ARGV[at + 1])
  local operation = operations[name]
  current = #answers + 1
  local done, answer = pcall(operation, at + 2, count)
  if not done then
    local what = type(answer) == 'table' and answer.err or tostring(answer)
    what = what:gsub('^@[^ ]+: %d+: %-?', '') -- Redis 6.2 begins with the place
    if what:find('^READONLY') then return {err = what} end
    answer = {'!', what}
  end
  answers[current] = answer
  at = at + 2 + count
end
for _, finish in ipairs(at_end) do finish() end
return {text(now), answers, settings_versions()}
