// How things stand: figures, curves, job types, what needs a person, what runs.

import { html, useMemo, useState } from "../vendor/preact.js";
import { address, useResource } from "./api.js";
import { Chart, perMinute, slowest, sum } from "./charts.js";
import { curl } from "./curl.js";
import { Code, Empty, Failure, Says, Spark, number, shortId } from "./parts.js";
import { link } from "./router.js";
import { duration, useNow } from "./time.js";

const WINDOWS = { "15 m": 900, "1 h": 3600, "24 h": 86400 };
const SPARK = 900;
const HOUR = 3600000;
const POINTS_SHOWN = 7; // about as high as the curves beside them
const onStatus = (update) => update.kind === "status";

export function Overview() {
  const { data: stats, error } = useResource("stats", { every: 5000 });
  const { data: types } = useResource("job-types", { matters: onStatus });
  const { data: workers } = useResource("workers", { matters: () => false });
  const { data: errors } = useResource("stats/errors", { matters: onStatus });
  const { data: recent } = useResource(address("stats/history", { window: SPARK }), { matters: onStatus });
  return html`
    <h1>Overview</h1>
    <${Failure} error=${error} />
    ${stats && html`<${Tiles} stats=${stats} />`}
    <div class="columns">
      <section class="card wide"><${Curves} /></section>
      <section class="card"><${Attention} errors=${errors} types=${types} workers=${workers} /></section>
    </div>
    <section class="card"><${Types} types=${types} recent=${recent} /></section>
    <section class="card"><${Running} /></section>`;
}

function Tiles({ stats }) {
  const tiles = [
    ["Ready", stats.ready, { status: "pending" }, "pending", stats.oldest_ready_age && `oldest ${duration(stats.oldest_ready_age)}`],
    ["Delayed", stats.delayed, { status: "pending" }, "pending"],
    ["Running", stats.running, { status: "processing" }, "processing"],
    ["Complete", stats.counts.complete, { status: "complete" }, "complete"],
    ["Failed", stats.counts.failed, { status: "failed" }, "failed"],
    ["Cancelled", stats.counts.cancelled, { status: "cancelled" }, "cancelled"],
  ];
  return html`<nav class="tiles" aria-label="Jobs by status">
    ${tiles.map(([name, count, query, status, note]) => html`
      <a class=${`tile ${status}`} href=${link("jobs", query)}>
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

function Attention({ errors, types, workers }) {
  const now = useNow(15000);
  const [isWhole, setWhole] = useState(false);
  const points = [];
  const served = new Set((workers?.items ?? []).filter((one) => !one.stale).flatMap((one) => one.job_types));
  for (const one of types?.items ?? []) {
    if (one.paused) {
      points.push(html`<li class="warn"><a href=${link("types")}><strong>${one.job_type}</strong> is paused</a><p>${one.pause_reason}</p></li>`);
    } else if (workers && one.ready > 0 && !served.has(one.job_type)) {
      points.push(html`<li class="warn"><a href=${link("jobs", { job_type: one.job_type, status: "pending" })}>
        <strong>${one.job_type}</strong> has no worker</a><span class="count">${number(one.ready)} waiting</span></li>`);
    }
  }
  for (const one of workers?.items ?? []) {
    if (one.stale) points.push(html`<li class="warn"><a href=${link("workers")}>Worker <strong>${one.id}</strong> has gone silent</a></li>`);
  }
  for (const one of errors?.items ?? []) {
    if (now - Date.parse(one.last_at) > HOUR) continue;
    points.push(html`<li class="bad"><a href=${link("jobs", { id: one.last_job_id })}><strong>${one.type}</strong> in ${one.job_type}</a>
      <span class="count">${number(one.count)} ×</span><p title=${one.last_message}>${one.last_message}</p></li>`);
  }
  if (!points.length) return html`<h2>Needs attention</h2><${Empty}>Nothing. All is well.<//>`;
  const hidden = points.length - POINTS_SHOWN;
  return html`<h2>Needs attention</h2>
    <ul class="points">${isWhole ? points : points.slice(0, POINTS_SHOWN)}</ul>
    ${hidden > 0 && html`<button class="quiet more" aria-expanded=${isWhole} onClick=${() => setWhole(!isWhole)}>
      ${isWhole ? "Show fewer" : `Show ${hidden} more`}</button>`}`;
}

function Types({ types, recent }) {
  if (!types) return html`<h2>Job types</h2><div class="loading"></div>`;
  if (!types.items.length) {
    return html`<h2>Job types</h2><${FirstJob} />`;
  }
  return html`<h2>Job types</h2>
    <div class="scroll"><table>
      <thead><tr><th>Job type</th><th class="n">Ready</th><th class="n">Running</th><th class="n">Delayed</th>
        <th class="n">Oldest waits</th><th>Last 15 minutes</th></tr></thead>
      <tbody>${types.items.map((one) => html`<${TypeRow} key=${one.job_type} type=${one} recent=${recent} />`)}</tbody>
    </table></div>`;
}

function FirstJob() {
  const call = curl('{"job_type":"hello","data":{"text":"hello"}}');
  return html`<p>No job has come yet. <a href=${link("enqueue")}>Enqueue the first one</a>, or from a shell:</p>
    <${Code} text=${call} label="the call" />`;
}

function TypeRow({ type, recent }) {
  const mine = (recent?.items ?? []).filter((item) => item.job_type === type.job_type);
  const { done } = perMinute(mine, SPARK, { done: (items) => sum("complete")(items) + sum("failed")(items) });
  const to = (status) => link("jobs", { status, job_type: type.job_type });
  return html`<tr>
    <th scope="row"><a href=${link("jobs", { job_type: type.job_type })}>${type.job_type}</a>
      ${type.paused && html` <span class="status paused">paused</span>`}</th>
    <td class="n"><a href=${to("pending")}>${number(type.ready)}</a></td>
    <td class="n"><a href=${to("processing")}>${number(type.running)}</a></td>
    <td class="n">${number(type.delayed)}</td>
    <td class="n">${type.oldest_ready_age === null ? "–" : duration(type.oldest_ready_age)}</td>
    <td><${Spark} values=${done} label=${`${done.reduce((a, b) => a + b, 0)} ended in 15 minutes`} /></td>
  </tr>`;
}

function Running() {
  const path = address("jobs", { status: "processing", limit: 10 });
  const { data } = useResource(path);
  const now = useNow();
  return html`<h2>Running now</h2>
    ${!data ? html`<div class="loading"></div>` : !data.items.length ? html`<${Empty}>No job is running.<//>` : html`
    <div class="scroll"><table>
      <thead><tr><th>Job</th><th>Job type</th><th>Progress</th><th class="n">For</th></tr></thead>
      <tbody>${data.items.map((job) => html`<tr key=${job.id}>
        <th scope="row"><a class="mono" href=${link("jobs", { id: job.id })} title=${job.id}>${shortId(job.id)}</a></th>
        <td>${job.job_type}</td><td class="says"><${Says} job=${job} now=${now} /></td>
        <td class="n">${duration(Math.floor(Math.max(0, now - Date.parse(job.started_at)) / 1000))}</td>
      </tr>`)}</tbody>
    </table></div>`}`;
}
