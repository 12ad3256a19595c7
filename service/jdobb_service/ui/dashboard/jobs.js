// The list of jobs: filters in the address, live rows, actions on many.

import { Component, html, useCallback, useRef, useState } from "../vendor/preact.js";
import { useAction } from "./action.js";
import { post } from "./api.js";
import { ACTIONS, Bulk } from "./bulk.js";
import { Export } from "./export.js";
import { Filters, Search, Tabs, filterOf } from "./job-filters.js";
import { useRows } from "./job-rows.js";
import { useKeys } from "./keys.js";
import { Empty, Failure, STATUSES, Says, Status, Time, number, shortId } from "./parts.js";
import { link } from "./router.js";
import { may } from "./session.js";
import { duration, useNow } from "./time.js";

const CALM = 60000;

export function Jobs({ query }) {
  const filter = filterOf(query);
  const key = JSON.stringify(filter);
  return html`
    <header class="row"><h1>Jobs</h1><${Search} /><${Export} filter=${filter} /></header>
    <${Tabs} filter=${filter} query=${query} />
    <${Filters} filter=${filter} query=${query} />
    <${List} key=${key} filter=${filter} />`;
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
  if (!jobs) return error ? html`<${Failure} error=${error} />` : html`<div class="loading"></div>`;
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
    ${!jobs.length && next ? html`<${Empty}>No job fits among those that were looked at so far. <button onClick=${more}>Look further</button><//>`
      : !jobs.length ? html`<${None} isFiltered=${Object.values(filter).some((value) => value.length)} />` : html`
    <section class="card scroll"><table class="jobs">
      <thead><tr>
        <th><input type="checkbox" aria-label="Select all that are shown" checked=${every} onChange=${choose} /></th>
        <th>Status</th><th>Job</th><th>Job type</th><th>Progress</th><th class="n">Attempt</th><th class="n">Took</th><th class="n">Created</th>
      </tr></thead>
      <tbody ref=${rows}>${jobs.map((job, n) => html`<${Row} key=${job.id} job=${job} n=${n} now=${moment(job, now)} picked=${picked.has(job.id)} current=${n === at} come=${setAt} toggle=${toggle} />`)}</tbody>
    </table></section>
    ${next && html`<div class="row center"><button onClick=${more}>Show more</button></div>`}`}
    ${ids.length > 0 && html`<${Bulk} ids=${ids} all=${all} filter=${filter} statuses=${statuses} canAll=${every && next}
      onAll=${() => setAll(true)} onClear=${clear}
      onDone=${(text) => { tell(text); clear(); reload(); }} />`}
    <p class="outcome" role="status">${outcome}</p>`;
}

const None = ({ isFiltered }) => isFiltered
  ? html`<${Empty}>No job fits. <a href="#/jobs">Show all jobs</a><//>`
  : html`<${Empty}>There is no job yet. <a href=${link("enqueue")}>Enqueue one</a><//>`;

/** The present as far as it changes how a job looks: that of most changes with each minute of their age. */
function moment(job, now) {
  const created = Date.parse(job.created_at);
  const isCalm = job.status !== "processing" && now - created > CALM && Date.parse(job.run_at) < now;
  return isCalm ? now - ((now - created) % CALM) : now;
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
      <td class="says"><${Says} job=${job} now=${now} /></td>
      <td class="n attempt">${job.attempt > 0 && html`${job.attempt}${job.max_attempts > 1 && job.attempt <= job.max_attempts && html`<span class="faint"> / ${job.max_attempts}</span>`}`}</td>
      <td class="n took">${took === null ? "" : duration(job.completed_at ? Math.max(0, took) : Math.floor(Math.max(0, took)))}</td>
      <td class="n"><${Time} at=${job.created_at} now=${now} /></td>
    </tr>`;
  }
}
