// One job: what it does now, what happened to it, what it was given and gave.

import { html, useEffect, useMemo, useState } from "../vendor/preact.js";
import { useAction } from "./action.js";
import { address, BASE, post, request, useResource } from "./api.js";
import { curl } from "./curl.js";
import { members } from "./json.js";
import { watch } from "./job-stream.js";
import { useKeys } from "./keys.js";
import { learnTypes, onUpdate } from "./live.js";
import { Ask, Code, Copy, Failure, Json, Says, Status, TERMINAL, Time } from "./parts.js";
import { go, link } from "./router.js";
import { may } from "./session.js";
import { clock, duration, useNow } from "./time.js";

const LOG_SHOWN = 200;
const LONG = 200; // characters of a message that are also shown in full
const SUBMITTED = ["job_type", "data", "metadata", "priority", "ttl", "timeout", "max_attempts", "max_lost"];

/** Return a job with the texts of what it carries, as they were sent. */
async function readExactly(path) {
  const text = await (await request("GET", path)).text();
  return { ...JSON.parse(text), raw: members(text) };
}

export function Job({ id }) {
  const path = `jobs/${encodeURIComponent(id)}`;
  const { data, error, reload } = useResource(path, { matters: (update) => update.job_id === id, read: readExactly });
  const updates = useUpdates(id, path);
  useEffect(() => {
    if (data) learnTypes([data.job_type]);
  }, [data?.job_type]);
  if (!data) return html`<${Crumbs} /><h1 class="mono">${id}</h1>${error ? html`<${Failure} error=${error} />` : html`<div class="loading"></div>`}`;
  const gone = error?.code === "job-not-found";
  const latest = updates.at(-1);
  const job = latest && latest.timestamp >= data.updated_at && !TERMINAL.has(data.status)
    ? { ...data, status: latest.status, progress: latest.progress, message: latest.message }
    : data;
  return html`
    <${Head} job=${job} gone=${gone} reload=${reload} />
    <${Failure} error=${gone ? undefined : error} />
    <div class="columns">
      <section class="card"><${Facts} job=${job} /></section>
      <section class="card wide"><${Timeline} job=${job} updates=${updates} /></section>
    </div>
    ${job.errors?.length > 0 && html`<section class="card"><${Errors} errors=${job.errors} /></section>`}
    <div class="columns even">
      <section class="card"><h2>Data</h2><${Json} text=${job.raw.data} label="data" /></section>
      ${job.raw.results !== "null" && html`<section class="card"><h2>Results</h2><${Json} text=${job.raw.results} label="results" /></section>`}
      ${job.raw.metadata !== "{}" && html`<section class="card"><h2>Metadata</h2><${Json} text=${job.raw.metadata} label="metadata" /></section>`}
    </div>`;
}

/** The update log: what is kept of the past, read at first and after a gap, and what comes. */
function useUpdates(id, path) {
  const [updates, set] = useState([]);
  useEffect(() => {
    const seen = new Map();
    const add = (update) => {
      seen.set(update.seq, update);
      set([...seen.values()].sort((a, b) => a.seq - b.seq));
    };
    const readLog = () => pastUpdates(path, Math.max(0, ...seen.keys()), add);
    let cut = readLog();
    const leave = onUpdate((update) => {
      if (update?.job_id === id) add(update);
      if (update !== undefined) return;
      cut.abort();
      cut = readLog();
    });
    return () => {
      cut.abort();
      leave();
    };
  }, [id]);
  return updates;
}

/** Give `add` what is in the log after `seq`, and let the stream go: what follows comes with that of all jobs. */
function pastUpdates(path, seq, add) {
  const cut = new AbortController();
  let timer;
  const endIn = (milliseconds) => {
    clearTimeout(timer);
    timer = setTimeout(() => cut.abort(), milliseconds);
  };
  const show = (update, name) => {
    if (name === "message" || name === "gap") add(update);
    endIn(500);
  };
  watch(new URL(address(`${path}/events`, { last_event_id: seq }), BASE).href, show, { signal: cut.signal });
  endIn(3000);
  cut.signal.addEventListener("abort", () => clearTimeout(timer));
  return cut;
}

function Head({ job, gone, reload }) {
  const [asked, ask] = useState(false);
  const { run, busy, error } = useAction();
  const path = `jobs/${encodeURIComponent(job.id)}`;
  const ended = TERMINAL.has(job.status);
  const can = {
    cancel: !ended && !gone && !busy && may("cancel"),
    retry: ended && job.status !== "complete" && !gone && !busy && may("enqueue"),
    delete: ended && !gone && !busy && may("admin"),
  };
  const act = (action) => run(() => post(`${path}/${action}`).finally(reload));
  useKeys({ c: () => can.cancel && act("cancel"), r: () => can.retry && act("retry") });
  const remove = (yes) => {
    ask(false);
    if (yes) run(async () => {
      await request("DELETE", path);
      go(link("jobs"));
    });
  };
  return html`
    <${Crumbs} jobType=${job.job_type} />
    <header class="row head">
      <h1 class="mono">${job.id}</h1><${Copy} text=${job.id} label="Copy the id" />
      <${Status} of=${job.status} />
      <span class="actions">
        <button disabled=${!can.cancel} onClick=${() => act("cancel")}>Cancel</button>
        <button disabled=${!can.retry} onClick=${() => act("retry")}>Retry</button>
        <a class="button" href=${link("enqueue", { from: job.id })}>Run again …</a>
        <button class="danger" disabled=${!can.delete} onClick=${() => ask(true)}>Delete</button>
      </span>
    </header>
    ${gone ? html`<div class="notice warn" role="status">This job has been removed. It was:</div>` : html`<${Failure} error=${error} />`}
    <div class="bar"><${Says} job=${job} now=${useNow()} bar=${true} /></div>
    ${asked && html`<${Ask} title="Delete this job?" action="Delete it" danger answer=${remove}><p>Its data, results and updates go too. It cannot be brought back.</p><//>`}`;
}

const Crumbs = ({ jobType }) => html`<nav class="crumbs" aria-label="Path"><a href="#/jobs">Jobs</a>${jobType &&
  html` / <a href=${link("jobs", { job_type: jobType })}>${jobType}</a>`}</nav>`;

function Facts({ job }) {
  const now = useNow();
  const between = (from, to) => from && duration(Math.max(0, ((to ? Date.parse(to) : now) - Date.parse(from)) / 1000));
  const waits = job.status === "pending";
  const waited = () => {
    if (waits) return Date.parse(job.run_at) <= now && between(job.run_at);
    return job.started_at ? between(job.run_at, job.started_at) : between(job.created_at, job.completed_at);
  };
  const at = (instant) => instant && html`<${Time} at=${instant} now=${now} />`;
  const rows = [
    ["Job type", html`<a href=${link("jobs", { job_type: job.job_type })}>${job.job_type}</a>`],
    ["Priority", job.priority],
    ["Created", at(job.created_at)],
    ["Due", waits && at(job.run_at)],
    ["Started", at(job.started_at)],
    ["Ended", at(job.completed_at)],
    ["Waited", waited()],
    ["Ran for", !waits && between(job.started_at, job.completed_at)],
    ["Attempt", job.attempt],
    ["Failed", (job.failures > 0 || job.max_attempts > 1) && `${job.failures} of ${job.max_attempts} times`],
    ["Lost workers", job.losses > 0 && `${job.losses} of ${job.max_lost}`],
    ["Timeout", job.timeout && duration(job.timeout)],
    ["To start within", job.ttl && duration(job.ttl)],
    ["Unique key", job.unique_key],
    ["Worker", job.worker_id && html`<span class="mono">${job.worker_id}</span>`],
    ["Request", job.request_id && html`<span class="mono">${job.request_id}</span>`],
  ].filter(([, value]) => value);
  const body = `{${SUBMITTED.filter((name) => job[name] !== null).map((name) => `"${name}":${job.raw[name]}`).join(",")}}`;
  return html`<header class="row"><h2>Facts</h2><span class="actions"><${Copy} text=${curl(body)} label="Copy as a curl call">Copy as curl<//></span></header>
    <dl class="facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function Timeline({ job, updates }) {
  const entries = useMemo(() => {
    const past = [{ seq: 0, kind: "status", status: "pending", timestamp: job.created_at, message: "enqueued" }];
    return [...past, ...updates].slice(-LOG_SHOWN);
  }, [job.created_at, updates]);
  return html`<h2>Updates</h2>
    <ol class="timeline">${entries.toReversed().map((one) => html`
      <li class=${one.kind === "status" ? one.status : one.kind}>
        <time datetime=${one.timestamp} title=${one.timestamp}>${clock(one.timestamp)}</time>
        <span class="what">${what(one)}</span>
        ${one.message && html`<span class="message">${one.message}</span>`}
        ${one.error && html`<span class=${`message ${one.status === "cancelled" ? "" : "bad"}`}>${one.error}</span>`}
      </li>`)}</ol>`;
}

function what(update) {
  if (update.gap) return "some updates are no longer kept";
  if (update.kind === "progress") return `${Math.round(update.progress * 100)} %`;
  if (update.kind === "log" || update.kind === "custom") return update.kind;
  const attempt = update.status === "processing" && update.attempt > 1 ? `, attempt ${update.attempt}` : "";
  return `${update.status}${attempt}`;
}

function Errors({ errors }) {
  return html`<h2>Errors</h2>${errors.toReversed().map((one) => html`
    <details class="error" open=${one === errors.at(-1)}>
      <summary><strong>${one.type}</strong> <span class="faint">attempt ${one.attempt}, <${Time} at=${one.at} /></span>
        <span class="message">${one.message}</span></summary>
      ${one.message.length > LONG && html`<${Code} text=${one.message} label="the message" />`}
      ${one.traceback && html`<${Code} text=${one.traceback} label="the traceback" />`}
    </details>`)}`;
}
