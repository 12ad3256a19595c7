// How things stand: figures, curves, job types, what needs a person, what runs.

import { html, useMemo, useState } from "../vendor/preact.js";
import { address, useResource } from "./api.js";
import { Attention } from "./attention.js";
import { Chart, perMinute, slowest, sum } from "./charts.js";
import { FirstJob } from "./first-job.js";
import { Count, Empty, Failure, STATUSES, Says, Spark, number, shortId } from "./parts.js";
import { link } from "./router.js";
import { duration, useNow } from "./time.js";

const WINDOWS = { "15 m": 900, "1 h": 3600, "24 h": 86400 };
const RECENT = 900;
const onStatus = (update) => update.kind === "status";

export function Overview() {
  const { data: stats, error } = useResource("stats", { every: 5000 });
  const { data: types } = useResource("job-types", { matters: onStatus });
  const { data: workers } = useResource("workers", { matters: () => false });
  const { data: errors } = useResource("stats/errors", { matters: onStatus });
  const { data: recent } = useResource(address("stats/history", { window: RECENT }), { matters: onStatus });
  const isNew = stats && recent && !recent.items.length && STATUSES.every((status) => !stats.counts[status]);
  return html`
    <h1>Overview</h1>
    <${Failure} error=${error} />
    ${stats && html`<${Tiles} stats=${stats} recent=${recent} workers=${workers} />`}
    ${isNew && types && html`<${FirstJob} types=${types.items} />`}
    <div class="columns">
      <section class="card wide"><${Curves} /></section>
      <section class="card"><${Attention} errors=${errors} types=${types} workers=${workers} /></section>
    </div>
    ${types?.items.length !== 0 && html`<section class="card"><${Types} types=${types} recent=${recent} /></section>`}
    <section class="card"><${Running} /></section>`;
}

function Tiles({ stats, recent, workers }) {
  const slots = workers?.items.filter((one) => !one.stale).reduce((total, one) => total + one.slots, 0);
  const lately = (name) => {
    const count = recent && sum(name)(recent.items);
    return count ? `${number(count)} in 15 m` : "";
  };
  const tiles = [
    ["Ready", stats.ready, "pending", stats.oldest_ready_age && `oldest ${duration(stats.oldest_ready_age)}`],
    ["Delayed", stats.delayed, "pending"],
    ["Running", stats.running, "processing", slots !== undefined && (slots ? `in ${number(slots)} slots` : "no worker")],
    ["Complete", stats.counts.complete, "complete", lately("complete")],
    ["Failed", stats.counts.failed, "failed", lately("failed")],
    ["Cancelled", stats.counts.cancelled, "cancelled", lately("cancelled")],
  ];
  return html`<nav class="tiles" aria-label="Jobs by status">
    ${tiles.map(([name, count, status, note]) => html`
      <a class=${`tile ${status}`} href=${link("jobs", { status })}>
        <span class="name">${name}</span><span class="count">${number(count)}</span>
        <span class="note">${note || "\u00a0"}</span>
      </a>`)}
  </nav>`;
}

function Curves() {
  const [name, choose] = useState("15 m");
  const window = WINDOWS[name];
  const { data } = useResource(address("stats/history", { window }), { matters: onStatus });
  const lines = useMemo(
    () =>
      data &&
      perMinute(data.items, window, {
        complete: sum("complete"),
        failed: sum("failed"),
        wait50: slowest("wait_p50"),
        wait95: slowest("wait_p95"),
        run50: slowest("run_p50"),
        run95: slowest("run_p95"),
      }),
    [data, window],
  );
  return html`
    <header class="row"><h2>Throughput</h2><span class="faint">jobs per minute</span>
      <div class="choice" role="group" aria-label="Span of time">
        ${Object.keys(WINDOWS).map((one) => html`
          <button aria-pressed=${one === name} onClick=${() => choose(one)}>${one}</button>`)}
      </div>
    </header>
    ${lines ? html`
      <${Chart} label="Jobs per minute" unit="count" times=${lines.times} series=${[
        { label: "complete", values: lines.complete, color: "--complete", fill: true },
        { label: "failed", values: lines.failed, color: "--failed" },
      ]} />
      <header class="row"><h2>Wait and run time</h2><span class="faint">slowest job type</span></header>
      <${Chart} label="Wait and run time" unit="seconds" times=${lines.times} series=${[
        { label: "wait p50", values: lines.wait50, color: "--pending", dash: [4, 3] },
        { label: "wait p95", values: lines.wait95, color: "--pending" },
        { label: "run p50", values: lines.run50, color: "--processing", dash: [4, 3] },
        { label: "run p95", values: lines.run95, color: "--processing" },
      ]} />` : html`<div class="loading"></div>`}`;
}

function Types({ types, recent }) {
  if (!types) return html`<h2>Job types</h2><div class="loading"></div>`;
  return html`<h2>Job types</h2>
    <div class="scroll"><table class="standing">
      <thead><tr><th>Job type</th><th class="n">Ready</th><th class="n">Running</th><th class="n">Delayed</th><th class="n">Failed</th>
        <th class="n">Oldest waits</th><th class="n">Last 15 minutes</th></tr></thead>
      <tbody>${types.items.map((one) => html`<${TypeRow} key=${one.job_type} type=${one} recent=${recent} />`)}</tbody>
    </table></div>`;
}

function TypeRow({ type, recent }) {
  const mine = (recent?.items ?? []).filter((item) => item.job_type === type.job_type);
  const { done } = perMinute(mine, RECENT, { done: (items) => sum("complete")(items) + sum("failed")(items) });
  const to = (status) => link("jobs", { status, job_type: type.job_type });
  return html`<tr>
    <th scope="row"><a href=${link("jobs", { job_type: type.job_type })}>${type.job_type}</a>
      ${type.paused && html` <span class="status paused">paused</span>`}</th>
    <td class="n"><${Count} of=${type.ready} href=${to("pending")} /></td>
    <td class="n"><${Count} of=${type.running} href=${to("processing")} /></td>
    <td class="n"><${Count} of=${type.delayed} href=${to("pending")} /></td>
    <td class="n"><${Count} of=${type.counts.failed} href=${to("failed")} /></td>
    <td class="n">${type.oldest_ready_age === null ? html`<span class="faint">–</span>` : duration(type.oldest_ready_age)}</td>
    <td class="n"><${Spark} values=${done} label=${`${done.reduce((a, b) => a + b, 0)} ended in 15 minutes`} /></td>
  </tr>`;
}

function Running() {
  const path = address("jobs", { status: "processing", limit: 10 });
  const { data } = useResource(path);
  const now = useNow();
  return html`<h2>Running now</h2>
    ${!data ? html`<div class="loading"></div>` : !data.items.length ? html`<${Empty}>No job is running.<//>` : html`
    <div class="scroll"><table class="running">
      <thead><tr><th>Job</th><th>Job type</th><th>Progress</th><th class="n">For</th></tr></thead>
      <tbody>${data.items.map((job) => html`<tr key=${job.id}>
        <th scope="row"><a class="mono" href=${link("jobs", { id: job.id })} title=${job.id}>${shortId(job.id)}</a></th>
        <td>${job.job_type}</td><td class="says"><${Says} job=${job} now=${now} /></td>
        <td class="n">${duration(Math.floor(Math.max(0, now - Date.parse(job.started_at)) / 1000))}</td>
      </tr>`)}</tbody>
    </table></div>
    ${data.next_cursor !== null && html`<p><a href=${link("jobs", { status: "processing" })}>Show all that run</a></p>`}`}`;
}
