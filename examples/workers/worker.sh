#!/usr/bin/env bash
# A worker over HTTP in Bash (4 or newer), with curl and jq. It runs one job at a time; start as many as you like.
#
#     JDOBB_URL=http://127.0.0.1:8000 JDOBB_API_KEY=... bash worker.sh
#
# It counts the words of a text: {"job_type": "word-count", "data": {"text": "one two"}}. Put your own work into
# `handle`. LEASE: seconds that a claim lasts unless renewed. PACE: seconds to rest after each part of a text.
# CLAIM_WAIT: seconds, at most 30, that the service may keep a claim waiting; a directive is heard after that.
set -uo pipefail
set -m # each background job is a process group of its own, so that it can be ended as a whole

url=${JDOBB_URL:-http://127.0.0.1:8000}
lease=${LEASE:-30} pace=${PACE:-0} claim_wait=${CLAIM_WAIT:-20}
job_type=word-count
worker_id=bash-${HOSTNAME:-host}-$$-$RANDOM$RANDOM # a directive such as `stop` stays with an id: new at each start
farewell=5                                         # seconds for giving a job back at the end
longest_pause=15
bad_input=65 # EX_DATAERR of sysexits.h: another attempt would meet the same

# Read a job's data from standard input and print its results, both as JSON. Another exit status than 0 fails the
# attempt with what was written to standard error.
handle() {
  local text lines part start step words=0
  text=$(jq -er '.text | strings') || { echo "data.text must be a string" >&2; return $bad_input; }
  mapfile -t lines <<<"$text"
  step=$((${#lines[@]} < 10 ? 1 : ${#lines[@]} / 10))
  for ((start = 0; start < ${#lines[@]}; start += step)); do
    part=("${lines[@]:start:step}")
    words=$((words + $(printf '%s\n' "${part[@]}" | wc -w)))
    report "$(ratio $((start + ${#part[@]})) ${#lines[@]})" "$words words"
    sleep "$pace"
  done
  printf '{"words": %d}' "$words"
}

ratio() { awk -v part="$1" -v whole="$2" 'BEGIN { print part / whole }'; }

# -- The service's worker calls. Each of them may be repeated. --------------------------------------------------

# post NAME PATH [CURL OPTION...] <BODY: call once. The answer goes to the file NAME, its HTTP status to NAME.status.
post() {
  local name=$1 path=$2
  shift 2
  rm -f "$folder/$name" "$folder/$name".*
  curl --silent --config "$folder/curlrc" --data-binary @- --max-time $((claim_wait + 10)) "$@" \
    --dump-header "$folder/$name.headers" --output "$folder/$name" --write-out '%{http_code}' \
    "${url%/}$path" >"$folder/$name.status"
}

# The HTTP status of an answer, 000 if there was none.
status_of() {
  local status
  status=$(cat "$folder/$1.status" 2>/dev/null)
  echo "${status:-000}"
}

# persist NAME PATH BODY: call until there is an answer. Fails when this worker is to stop before that.
persist() {
  local failures=0
  until [[ $stopping ]]; do
    post "$1" "$2" <<<"$3" &
    finish $!
    case $(status_of "$1") in
      000 | 429 | 5??) ;;
      *) return 0 ;;
    esac
    [[ $stopping ]] && break
    echo "service away (HTTP $(status_of "$1"))" >&2
    rest "$(retry_after "$1")"
    rest "$(pause $failures)"
    failures=$((failures < 10 ? failures + 1 : failures))
  done
  return 1
}

# Seconds that an answer asks to wait. A proxy may give a date, which is passed over.
retry_after() {
  local asked
  asked=$(sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9]\{1,4\}\)[[:space:]]*$/\1/p' "$folder/$1.headers" 2>/dev/null)
  echo "${asked:-0}"
}

# The n-th pause in a row: doubled each time, and half of it left to chance, so that many workers do not come back
# in one instant.
pause() {
  awk -v n="$1" -v longest=$longest_pause -v chance=$RANDOM \
    'BEGIN { p = 0.5 * 2 ^ n; if (p > longest) p = longest; print p * (0.5 + chance / 65536) }'
}

# Wait for a background job; a signal to stop ends it. (In the foreground it would hold up the trap until its end.)
finish() {
  local status
  running=$1
  [[ $stopping ]] && stop # it came before there was anything to end
  wait "$1"
  status=$?
  running=''
  [[ $stopping ]] && end "$1" # the wait may have been cut short by the signal
  return $status
}

# The trap.
stop() {
  stopping=1
  [[ -z $running ]] || end "$running"
}

# End a background job. To say so once may not be enough: a process that has only just begun can miss it.
end() {
  while kill -0 "$1"; do
    kill -- "-$1"
    sleep 0.05
  done 2>/dev/null
}

rest() {
  sleep "$1" &
  finish $!
}

# -- One job: `id` and `token` are of the claim, and `held` is empty once there is nothing to give back. ---------

# Tell progress, and end the work if the job is not ours any more. Without an answer the work just goes on.
report() {
  local body
  body=$(jq -nc --arg token "$token" --argjson progress "$1" --arg message "$2" \
    '{lease_token: $token, progress: $progress, message: $message}')
  post progress "/worker/jobs/$id/progress" <<<"$body"
  case $(status_of progress) in
    200) [[ $(jq -r .status "$folder/progress") == ok ]] || lose ;;
    404 | 409) lose ;;
  esac
}

lose() {
  touch "$folder/lost"
  kill -- "-$(cat "$folder/work")" # this process too, when it is the work itself
}

# Beside the work: renew the lease, and obey.
keep_lease() {
  local body said
  body=$(jq -nc --arg worker "$worker_id" --arg id "$id" --arg token "$token" \
    '{worker_id: $worker, leases: [{job_id: $id, lease_token: $token}]}')
  while sleep "$(ratio "$lease" 3)" && kill -0 $$; do # no lease outlives its worker
    post beat /worker/heartbeat <<<"$body"
    [[ $(status_of beat) == 200 ]] || continue # the next one is soon enough
    said=$(jq -r '"\(.leases[0].status) \(.directive)"' "$folder/beat")
    [[ $said == ok\ * ]] || lose
    [[ $said == *\ stop ]] && kill -TERM $$
  done
}

# settle VERB BODY: tell what came of the job. Fails when that was refused, or when this worker is to stop.
settle() {
  persist settle "/worker/jobs/$id/$1" "$2" || return
  case $(status_of settle) in
    200) echo "$1 $id" ;;
    404 | 409) echo "lost $id" ;; # cancelled, removed, or given to another: the result is dropped
    *) return 1 ;;
  esac
  held=''
}

complete() {
  local body
  body=$(jq -c --arg token "$token" '{lease_token: $token, results: .}' "$folder/results") && settle complete "$body"
}

# fail TYPE RETRY <MESSAGE
fail() {
  local body
  body=$(jq -Rsc --arg token "$token" --arg type "$1" --argjson retry "$2" \
    '{lease_token: $token, error: {type: $type, message: rtrimstr("\n")}, retry: $retry}')
  settle fail "$body" || [[ $stopping ]] || refused settle
}

run_job() {
  local work keeper code
  id=$(jq -r '.jobs[0].id' "$folder/claim") token=$(jq -r '.jobs[0].lease_token' "$folder/claim") held=1
  rm -f "$folder/lost"
  { echo $BASHPID >"$folder/work"; jq -c '.jobs[0].data' "$folder/claim" | handle; } \
    >"$folder/results" 2>"$folder/errors" &
  work=$!
  keep_lease &
  keeper=$!
  finish $work
  code=$?
  if [[ $stopping ]]; then
    :
  elif [[ -e $folder/lost ]]; then
    echo "lost $id"
    held=''
  elif [[ $code == "$bad_input" ]]; then
    fail BadInput false <"$folder/errors"
  elif [[ $code != 0 ]]; then
    fail "ExitStatus$code" null <"$folder/errors"
  elif ! complete && [[ -z $stopping ]]; then
    fail ResultsRefused false <"$folder/settle" # too large, say
  fi
  end $keeper
  [[ $stopping && $held ]] && release
}

# Give the job back, at no cost for it. When that fails, it comes back as its lease ends.
release() {
  jq -nc --arg token "$token" '{lease_token: $token}' |
    post release "/worker/jobs/$id/release" --max-time $farewell --retry 3 --retry-connrefused
  case $(status_of release) in
    200) echo "release $id" ;;
    404 | 409) echo "lost $id" ;;
    *) echo "not released: $id" >&2 ;;
  esac
}

# -- The worker --------------------------------------------------------------------------------------------------

refused() { # by the answer NAME: the key is wrong, say, and no repetition would help
  echo "HTTP $(status_of "$1"): $(cat "$folder/$1")" >&2
  exit 1
}

umask 077
folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT
{ # in a file, since everybody on a machine can see the arguments of programs
  echo 'header = "Content-Type: application/json"'
  [[ -z ${JDOBB_API_KEY-} ]] || echo "header = \"Authorization: Bearer $JDOBB_API_KEY\""
} >"$folder/curlrc"

stopping='' running=''
trap stop TERM INT
hello=$(jq -nc --arg worker "$worker_id" '{worker_id: $worker}')
claim=$(jq -nc --arg worker "$worker_id" --arg type "$job_type" --argjson wait "$claim_wait" --argjson lease "$lease" \
  '{worker_id: $worker, job_types: [$type], wait: $wait, lease: $lease}')

until [[ $stopping ]]; do
  persist beat /worker/heartbeat "$hello" || break
  [[ $(status_of beat) == 200 ]] || refused beat
  case $(jq -r .directive "$folder/beat") in
    stop) break ;;
    quiet) rest "$claim_wait" && continue ;;
  esac
  # A claim that is cut off gets nothing: the service gives back what nobody is there to receive.
  persist claim /worker/claim "$claim" || break
  case $(status_of claim) in
    200) run_job ;;
    204) rest "$(retry_after claim)" ;; # not 0 when there was no room to wait at the service
    *) refused claim ;;
  esac
done
exit 0
