// The list of jobs: filters in the address, live rows, actions on many.

import { Component, html, useCallback, useEffect, useRef, useState } from "../vendor/preact.js";
import { useAction } from "./action.js";
import { address, getJson, post, request, useResource } from "./api.js";
import { ACTIONS, Bulk } from "./bulk.js";
import { items, members } from "./json.js";
import { useKeys } from "./keys.js";
import { onUpdate } from "./live.js";
import { Empty, Failure, Progress, STATUSES, Select, Status, TERMINAL, Time, number, shortId } from "./parts.js";
import { go, link } from "./router.js";
import { may } from "./session.js";
import { settings } from "./settings.js";
import { duration, useNow } from "./time.js";

const [FIRST, FURTHER] = [50, 200]; // jobs that are read at once
const LOOK_EVERY = 5000;
const REDRAW_EVERY = 100;
const CALM = 60000;

/** The filter that the address names, as the API takes it. */
function filterOf(query) {
  const filter = { status: query.getAll("status"), job_type: query.getAll("job_type") };
  for (const [name, value] of query) if (name.startsWith("metadata.") || name.startsWith("created_")) filter[name] = value;
  return filter;
}

export function Jobs({ query }) {
  const filter = filterOf(query);
  const key = JSON.stringify(filter);
  return html`
    <header class="row"><h1>Jobs</h1><${Search} /><${Export} filter=${filter} /></header>
    <${Tabs} filter=${filter} query=${query} />
    <${Filters} filter=${filter} query=${query} />
    <${List} key=${key} filter=${filter} />`;
}

function changed(query, name, value) {
  const next = new URLSearchParams(query);
  next.delete(name);
  if (value) next.append(name, value);
  const text = next.toString();
  return text ? `#/jobs?${text}` : "#/jobs";
}

function Tabs({ filter, query }) {
  const { data } = useResource("stats", { every: LOOK_EVERY });
  const counts = data && (filter.job_type.length ? countsOf(data, filter.job_type) : data.counts);
  const total = counts && STATUSES.reduce((all, status) => all + counts[status], 0);
  const [chosen] = filter.status;
  const tab = (status, label, count) => html`
    <a class=${`tab ${status ?? "all"}`} href=${changed(query, "status", status)} aria-current=${chosen === status ? "page" : undefined}>
      ${label} <span class="count">${count === undefined ? "" : number(count)}</span></a>`;
  return html`<nav class="tabs" aria-label="Status">
    ${tab(undefined, "all", total)}${STATUSES.map((status) => tab(status, status, counts?.[status]))}
  </nav>`;
}

function countsOf(stats, jobTypes) {
  const counts = Object.fromEntries(STATUSES.map((status) => [status, 0]));
  for (const name of jobTypes) {
    for (const status of STATUSES) counts[status] += stats.job_types[name]?.counts[status] ?? 0;
  }
  return counts;
}

function Search() {
  const find = (event) => {
    event.preventDefault();
    const id = new FormData(event.target).get("id").trim();
    if (id) go(link("jobs", { id }));
  };
  return html`<form class="search" role="search" onSubmit=${find}>
    <input id="search" name="id" placeholder="Find by id" aria-label="Find a job by its id" autocomplete="off" spellcheck=${false} />
  </form>`;
}

function Filters({ filter, query }) {
  const { data: types } = useResource("job-types", { matters: () => false });
  const add = (event) => {
    event.preventDefault();
    const field = event.target.elements.metadata;
    const [name, ...value] = field.value.split("=");
    if (name && value.length) go(changed(query, `metadata.${name.trim()}`, value.join("=").trim()));
    field.value = "";
  };
  const chips = Object.entries(filter).flatMap(([name, values]) =>
    name === "status" ? [] : [values].flat().map((value) => [name, value]),
  );
  return html`<div class="row filters">
    <${Select} aria-label="Job type" value=${filter.job_type[0] ?? ""} onChoose=${(value) => go(changed(query, "job_type", value))}
      options=${[["", "Any job type"], ...(types?.items ?? []).map((one) => one.job_type)]} />
    <form onSubmit=${add}><input name="metadata" placeholder="metadata: key=value" aria-label="Filter by metadata, key=value" autocomplete="off" /></form>
    ${chips.map(([name, value]) => html`<a class="chip" href=${changed(query, name)} title="Remove this filter">
      ${name.replace("metadata.", "")} = <strong>${value}</strong><span aria-hidden="true"> ✕</span></a>`)}
  </div>`;
}

/**
 * Rows that were read stay where they are and change in place; what is new waits until it is asked for.
 * That a job was enqueued is no update: the list is looked at again for it.
 */
function useRows(filter) {
  const rows = useRef(new Map());
  const strangers = useRef(new Set());
  const [{ next, error, read: isRead }, set] = useState({ next: null, error: undefined, read: false });
  const redraw = useRedraw();
  const page = (cursor) => getJson(address("jobs", { ...filter, limit: cursor ? FURTHER : FIRST, cursor }));
  const read = async (cursor) => {
    try {
      const { items: found, next_cursor } = await page(cursor);
      if (!cursor) {
        rows.current = new Map();
        strangers.current = new Set();
      }
      for (const job of found) rows.current.set(job.id, job);
      set({ next: next_cursor, error: undefined, read: true });
    } catch (failure) {
      set((before) => ({ ...before, error: failure, read: true }));
    }
  };
  const catchUp = async () => {
    const size = rows.current.size;
    const seen = new Set();
    let cursor;
    try {
      do {
        const { items: found, next_cursor } = await page(cursor);
        for (const job of found) {
          seen.add(job.id);
          if (rows.current.has(job.id)) rows.current.set(job.id, job);
          else strangers.current.add(job.id);
        }
        cursor = next_cursor;
      } while (cursor && seen.size < size);
      for (const id of rows.current.keys()) if (!seen.has(id) && !cursor) strangers.current.add(id);
      redraw();
    } catch {
      // It is tried again soon.
    }
  };
  useEffect(() => {
    read();
    const timer = setInterval(() => document.hidden || !settings.live || catchUp(), LOOK_EVERY);
    const leave = onUpdate((update) => {
      if (update === undefined) return void catchUp();
      const job = rows.current.get(update.job_id);
      if (job) rows.current.set(job.id, after(job, update));
      else if (update.kind === "status") strangers.current.add(update.job_id);
      redraw();
    });
    return () => {
      clearInterval(timer);
      leave();
    };
  }, []);
  const jobs = isRead ? [...rows.current.values()] : undefined;
  return { jobs, next, error, fresh: strangers.current.size, reload: () => read(), more: () => read(next) };
}

/** Return what draws again, once for all that happens within a moment. */
function useRedraw() {
  const [, draw] = useState(0);
  const timer = useRef();
  useEffect(() => () => clearTimeout(timer.current), []);
  return () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      draw((count) => count + 1);
    }, REDRAW_EVERY);
  };
}

/** The job as it is after an update. */
function after(job, { status, progress, message, error, attempt, timestamp }) {
  const now = { ...job, status, progress, message, error, attempt, updated_at: timestamp };
  if (TERMINAL.has(status)) now.completed_at = timestamp;
  else {
    now.completed_at = null;
    if (status === "processing" && job.status !== "processing") now.started_at = timestamp;
  }
  return now;
}

function List({ filter }) {
  const { jobs, next, error, fresh, reload, more } = useRows(filter);
  const { run, error: failure } = useAction();
  const [outcome, tell] = useState();
  const [picked, pick] = useState(new Set());
  const [all, setAll] = useState(false);
  const [at, setAt] = useState(-1);
  const rows = useRef();
  const now = useNow();
  const toggle = useCallback((id) => {
    setAll(false);
    tell(undefined);
    pick((before) => {
      const then = new Set(before);
      if (!then.delete(id)) then.add(id);
      return then;
    });
  }, []);
  const place = () => {
    const focused = [...(rows.current?.children ?? [])].indexOf(document.activeElement.closest("tr"));
    return focused < 0 ? at : focused;
  };
  const move = (by) => {
    const to = Math.max(0, Math.min((jobs?.length ?? 0) - 1, place() + by));
    rows.current?.children[to]?.querySelector("a").focus();
  };
  const here = () => jobs?.[place()];
  const act = (action) => {
    const job = here();
    if (!job || !may(ACTIONS[action].scope) || !ACTIONS[action].of.includes(job.status)) return;
    run(() => post(`jobs/${encodeURIComponent(job.id)}/${action}`));
  };
  const clear = () => {
    pick(new Set());
    setAll(false);
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    x: () => here() && toggle(here().id),
    r: () => act("retry"),
    c: () => act("cancel"),
  });
  if (!jobs) return html`<div class="loading"></div>`;
  const every = jobs.length > 0 && jobs.every((job) => picked.has(job.id));
  const choose = () => {
    setAll(false);
    pick(new Set(every ? [] : jobs.map((job) => job.id)));
  };
  const chosen = jobs.filter((job) => picked.has(job.id));
  const ids = chosen.map((job) => job.id);
  const statuses = !all ? chosen.map((job) => job.status) : filter.status.length ? filter.status : STATUSES;
  return html`
    <${Failure} error=${error ?? failure} />
    <div class="afloat">${fresh > 0 && html`<button class="pill" onClick=${reload}>${number(fresh)} new or changed – show</button>`}</div>
    ${!jobs.length ? html`<${Empty}>No job fits.<//>` : html`
    <section class="card scroll"><table class="jobs">
      <thead><tr>
        <th><input type="checkbox" aria-label="Select all that are shown" checked=${every} onChange=${choose} /></th>
        <th>Status</th><th>Job</th><th>Job type</th><th>Progress</th><th>Message</th><th class="n">Attempt</th><th class="n">Took</th><th class="n">Created</th>
      </tr></thead>
      <tbody ref=${rows}>${jobs.map((job, n) => html`<${Row} key=${job.id} job=${job} n=${n} now=${moment(job, now)} picked=${picked.has(job.id)} current=${n === at} come=${setAt} toggle=${toggle} />`)}</tbody>
    </table></section>
    ${next !== null && html`<div class="row center"><button onClick=${more}>Show more</button></div>`}`}
    ${ids.length > 0 && html`<${Bulk} ids=${ids} all=${all} filter=${filter} statuses=${statuses} canAll=${every && next !== null}
      onAll=${() => setAll(true)} onClear=${clear}
      onDone=${(text) => { tell(text); clear(); reload(); }} />`}
    <p class="outcome" role="status">${outcome}</p>`;
}

/** The present as far as it changes how a job looks: that of most has not changed since the last second. */
function moment(job, now) {
  const isCalm = job.status !== "processing" && now - Date.parse(job.created_at) > 2 * CALM && Date.parse(job.run_at) < now;
  return isCalm ? Math.floor(now / CALM) * CALM : now;
}

/** A row, which is drawn again only when something in it has changed. */
class Row extends Component {
  shouldComponentUpdate(next) {
    return Object.keys(next).some((name) => next[name] !== this.props[name]);
  }

  render({ job, n, now, picked, current, come, toggle }) {
    const ends = job.completed_at ? Date.parse(job.completed_at) : now;
    const took = job.started_at && job.status !== "pending" ? (ends - Date.parse(job.started_at)) / 1000 : null;
    return html`<tr class=${current ? "current" : ""} onfocusin=${() => come(n)}>
      <td><input type="checkbox" aria-label=${`Select ${job.id}`} checked=${picked} onChange=${() => toggle(job.id)} /></td>
      <td><${Status} of=${job.status} /></td>
      <th scope="row"><a class="mono" href=${link("jobs", { id: job.id })} title=${job.id}>${shortId(job.id)}</a></th>
      <td>${job.job_type}</td>
      <td>${job.status === "processing" || (job.progress > 0 && job.progress < 1) ? html`<${Progress} job=${job} />` : ""}</td>
      <td class="message">${job.status === "failed" ? job.error : job.message}</td>
      <td class="n">${job.attempt > 0 && html`${job.attempt}${job.max_attempts > 1 && html`<span class="faint"> / ${job.max_attempts}</span>`}`}</td>
      <td class="n">${took === null ? "" : duration(job.completed_at ? Math.max(0, took) : Math.floor(Math.max(0, took)))}</td>
      <td class="n"><${Time} at=${job.created_at} now=${now} /></td>
    </tr>`;
  }
}

function Export({ filter }) {
  const [state, set] = useState();
  const save = async () => {
    const lines = [];
    let cursor;
    try {
      do {
        const query = { ...filter, limit: 100, cursor, include: "data,results,errors" };
        const page = members(await (await request("GET", address("jobs", query))).text());
        lines.push(...items(page.items).map((job) => `${job}\n`));
        cursor = JSON.parse(page.next_cursor);
        set(`${number(lines.length)} …`);
      } while (cursor);
      const anchor = document.createElement("a");
      anchor.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
      anchor.download = "jobs.ndjson";
      anchor.click();
      URL.revokeObjectURL(anchor.href);
      set(undefined);
    } catch (error) {
      set(error.message);
    }
  };
  return html`<button onClick=${save}>${state ?? "Export NDJSON"}</button>`;
}
