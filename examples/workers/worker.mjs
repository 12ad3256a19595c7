// A worker over HTTP for Node 20 or newer. It needs no package.
//
//     JDOBB_URL=http://127.0.0.1:8000 JDOBB_API_KEY=... node worker.mjs --slots 4
//
// It counts the words of a text: {"job_type": "word-count", "data": {"text": "one two"}}. Your own job types go
// into `handlers`.

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    slots: { type: "string", default: "4" }, // how many jobs at once
    lease: { type: "string", default: "30" }, // seconds that a claim lasts unless renewed
    pace: { type: "string", default: "0" }, // seconds to rest after each part of a text
  },
});
const slots = Number(options.slots);
const lease = Number(options.lease);
const pace = Number(options.pace);

const base = (process.env.JDOBB_URL ?? "http://127.0.0.1:8000").replace(/\/$/, "");
const headers = { "Content-Type": "application/json" };
if (process.env.JDOBB_API_KEY) headers.Authorization = `Bearer ${process.env.JDOBB_API_KEY}`;

const CLAIM_WAIT = 20; // seconds that the service may keep a claim waiting; PATIENCE has to be longer
const PATIENCE = 30; // seconds for any answer
const FAREWELL = 5; // seconds for giving jobs back at the end; the rest comes back when its leases end
const LONGEST_PAUSE = 15;

/** The job asks for what cannot be done; another attempt would meet the same. */
class BadInput extends Error {}
/** The job is not ours any more: cancelled, removed, or given to another. Our result is dropped. */
class LeaseLost extends Error {}
/** The service does not answer, or says that it cannot now. */
class Away extends Error {
  constructor(reason, seconds = 0) {
    super(reason);
    this.seconds = seconds; // that it asked to wait
  }
}
/** The service refuses the call, because of a wrong key, say: no repetition would help. */
class Refused extends Error {}

const handlers = {
  /** Count the words of a text in about ten parts. */
  async "word-count"({ text }, report, signal) {
    if (typeof text !== "string") throw new BadInput("data.text must be a string");
    const lines = text.split("\n");
    const step = Math.max(1, Math.floor(lines.length / 10));
    let words = 0;
    for (let start = 0; start < lines.length; start += step) {
      const part = lines.slice(start, start + step);
      for (const line of part) words += line.match(/\S+/g)?.length ?? 0;
      await report((start + part.length) / lines.length, `${words} words`);
      await sleep(1000 * pace, undefined, { signal });
    }
    return { words };
  },
};

// -- The service's worker calls. Each of them may be repeated. --------------------------------------------------

/** Call once, and return status and answer. */
async function tryPost(path, body, signal) {
  signal.throwIfAborted();
  const cut = new AbortController();
  const leave = () => cut.abort();
  signal.addEventListener("abort", leave);
  const patience = setTimeout(leave, 1000 * PATIENCE);
  let answer, text;
  try {
    answer = await fetch(base + path, { method: "POST", headers, body: JSON.stringify(body), signal: cut.signal });
    text = await answer.text();
  } catch (error) {
    signal.throwIfAborted();
    throw new Away(error.cause?.code ?? error.name);
  } finally {
    signal.removeEventListener("abort", leave);
    clearTimeout(patience);
  }
  const asked = Number(answer.headers.get("retry-after")) || 0; // a proxy may give a date, which is passed over
  if (answer.status === 429 || answer.status >= 500) throw new Away(`HTTP ${answer.status}`, asked);
  if ([404, 409].includes(answer.status) && path.startsWith("/worker/jobs/")) throw new LeaseLost();
  if (!answer.ok) throw new Refused(`HTTP ${answer.status}: ${text}`);
  return text ? JSON.parse(text) : { seconds: asked };
}

/** Call until there is an answer. */
async function post(path, body, signal) {
  for (let failures = 0; ; failures++) {
    try {
      return await tryPost(path, body, signal);
    } catch (error) {
      if (!(error instanceof Away)) throw error;
      console.error(`service away (${error.message})`);
      // Half of each pause is left to chance, so that many workers do not come back in one instant.
      const pause = Math.min(LONGEST_PAUSE, 0.5 * 2 ** failures) * (0.5 + Math.random() / 2);
      await sleep(1000 * (error.seconds + pause), undefined, { signal });
    }
  }
}

const tell = (call, job, verb, said, signal) =>
  call(`/worker/jobs/${job.id}/${verb}`, { lease_token: job.lease_token, ...said }, signal);

// -- The worker. Everything that waits is given a signal: `stopping`, or that of its job. -----------------------

const workerId = `node-${hostname()}-${randomUUID().slice(0, 8)}`; // a directive stays with an id: new at each start
const held = new Map(); // by lease token: { job, cut, attempt }, where cut.abort() ends the attempt
const stopping = new AbortController();
let directive = "run";

/** Claim jobs into the free slots. */
async function claiming(signal) {
  while (!signal.aborted) {
    if (held.size >= slots || directive === "quiet") {
      const attempts = [...held.values()].map(({ attempt }) => attempt);
      await Promise.race([...attempts, sleep(1000, undefined, { signal })]);
      continue;
    }
    const asked = { job_types: Object.keys(handlers), limit: slots - held.size, wait: CLAIM_WAIT, lease };
    const { jobs = [], seconds } = await post("/worker/claim", { worker_id: workerId, ...asked }, signal);
    for (const job of jobs) {
      const claim = { job, cut: new AbortController() };
      held.set(job.lease_token, claim);
      claim.attempt = work(claim);
    }
    if (seconds) await sleep(1000 * seconds, undefined, { signal }); // there was no room to wait at the service
  }
}

/** Renew all leases, and obey; without a job too, since directives come this way. */
async function beating(signal) {
  while (!signal.aborted) {
    const leases = [...held.values()].map(({ job }) => ({ job_id: job.id, lease_token: job.lease_token }));
    const said = await post("/worker/heartbeat", { worker_id: workerId, leases }, signal);
    said.leases.forEach(({ status, job_id }, index) => {
      const token = leases[index].lease_token;
      if (status === "ok" || !held.has(token)) return; // one that has been settled meanwhile is not held any more
      console.log(`${status} ${job_id}`);
      held.get(token).cut.abort();
      held.delete(token);
    });
    directive = said.directive;
    if (directive === "stop") stopping.abort();
    await sleep((1000 * lease) / 3, undefined, { signal });
  }
}

/** Run a job's handler and tell what came of it. Cut off, it leaves the job as it is. */
async function work({ job, cut }) {
  let outcome;
  try {
    // A claim that waited when we were told to be quiet may still bring a job.
    outcome = await (directive === "quiet" ? giveBack : settle)(job, cut.signal);
  } catch (error) {
    if (cut.signal.aborted) return;
    if (!(error instanceof LeaseLost)) return fatal(error);
    outcome = "lost";
  }
  held.delete(job.lease_token);
  console.log(`${outcome} ${job.id}`);
}

async function settle(job, signal) {
  const report = async (progress, message) => {
    try {
      const { status } = await tell(tryPost, job, "progress", { progress, message }, signal);
      if (status === "cancelled") throw new LeaseLost();
    } catch (error) {
      if (!(error instanceof Away)) throw error; // the work goes on; heartbeats and the settling are more patient
    }
  };
  try {
    const results = await handlers[job.job_type](job.data, report, signal);
    await tell(post, job, "complete", { results }, signal);
    return "complete";
  } catch (error) {
    if (signal.aborted || error instanceof LeaseLost) throw error;
    const said = { error: { type: error.constructor.name, message: error.message, traceback: error.stack } };
    if (error instanceof BadInput) said.retry = false;
    await tell(post, job, "fail", said, signal);
    return "fail";
  }
}

/** Give back what is held, at no cost for the jobs. */
async function release() {
  const signal = AbortSignal.timeout(1000 * FAREWELL);
  for (const { job } of held.values()) {
    try {
      console.log(`${await giveBack(job, signal)} ${job.id}`);
    } catch (error) {
      if (!(error instanceof LeaseLost) && !signal.aborted) throw error;
      console.log(`${signal.aborted ? "not released" : "lost"} ${job.id}`);
    }
  }
}

async function giveBack(job, signal) {
  await tell(post, job, "release", {}, signal);
  return "release";
}

function fatal(error) {
  if (stopping.signal.aborted) return; // what was cut off by the end
  console.error(error instanceof Refused ? error.message : error);
  process.exitCode = 1;
  stopping.abort();
}

process.once("SIGTERM", () => stopping.abort());
process.once("SIGINT", () => stopping.abort());

// A claim that is cut off gets nothing: the service gives back what nobody is there to receive.
await Promise.all([claiming(stopping.signal).catch(fatal), beating(stopping.signal).catch(fatal)]);
const attempts = [...held.values()];
for (const { cut } of attempts) cut.abort();
await Promise.all(attempts.map(({ attempt }) => attempt));
await release();
