// What needs a person: jobs that nobody runs, workers that are silent, errors, pauses.

import { html, useState } from "../vendor/preact.js";
import { Empty, number } from "./parts.js";
import { link } from "./router.js";
import { useNow } from "./time.js";

const HOUR = 3600000;
const SHOWN = 6;

export function Attention({ errors, types, workers }) {
  const now = useNow(15000);
  const [whole, setWhole] = useState(false);
  const points = [...unserved(types, workers), ...silent(workers), ...failing(errors, now), ...paused(types)];
  const shown = whole ? points : points.slice(0, SHOWN);
  return html`<h2>Needs attention</h2>
    ${points.length ? html`<ul class="points">${shown}</ul>` : html`<${Empty}>Nothing. All is well.<//>`}
    ${shown.length < points.length && html`<button class="quiet" onClick=${() => setWhole(true)}>Show ${points.length - shown.length} more</button>`}`;
}

function unserved(types, workers) {
  if (!types || !workers) return [];
  const served = new Set(workers.items.filter((one) => !one.stale).flatMap((one) => one.job_types));
  return types.items.filter((one) => !one.paused && one.ready > 0 && !served.has(one.job_type)).map((one) => html`<li class="warn">
    <a href=${link("jobs", { job_type: one.job_type, status: "pending" })}><strong>${one.job_type}</strong> has no worker</a>
    <span class="count">${number(one.ready)} waiting</span></li>`);
}

function silent(workers) {
  return (workers?.items ?? []).filter((one) => one.stale).map((one) => html`<li class="warn">
    <a href=${link("workers")}>Worker <strong>${one.id}</strong> has gone silent</a></li>`);
}

function failing(errors, now) {
  return (errors?.items ?? []).filter((one) => now - Date.parse(one.last_at) <= HOUR).map((one) => html`<li class="bad">
    <a href=${link("jobs", { id: one.last_job_id })}><strong>${one.type}</strong> in ${one.job_type}</a>
    <span class="count" title="in 24 hours">${number(one.count)} ×</span><p title=${one.last_message}>${one.last_message}</p></li>`);
}

function paused(types) {
  return (types?.items ?? []).filter((one) => one.paused).map((one) => html`<li class="warn">
    <a href=${link("types")}><strong>${one.job_type}</strong> is paused</a><p title=${one.pause_reason}>${one.pause_reason}</p></li>`);
}
