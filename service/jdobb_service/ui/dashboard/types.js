// Job types: how their jobs stand, what they are set to, their payloads, and the switch that pauses them.

import { html, useState } from "../vendor/preact.js";
import { useAction } from "./action.js";
import { post, useResource } from "./api.js";
import { Count, Empty, Failure, Json, Time, number } from "./parts.js";
import { link } from "./router.js";
import { may } from "./session.js";
import { duration } from "./time.js";

const COLUMNS = 9;

export function JobTypes() {
  const { data, error, reload } = useResource("job-types");
  return html`<header class="row"><h1>Job types</h1></header>
    <${Failure} error=${error} />
    ${!data ? !error && html`<div class="loading"></div>` : !data.items.length ? html`<${Empty}>There is none yet: a worker tells of its own, and <a href=${link("enqueue")}>a job</a> of any type makes one.<//>` : html`
    <section class="card scroll"><table class="types">
      <thead><tr><th>Job type</th><th class="n">Ready</th><th class="n">Running</th><th class="n">Delayed</th><th class="n">Oldest waits</th>
        <th class="n">Attempts</th><th class="n">Timeout</th><th class="n">Pending at most</th><td></td></tr></thead>
      ${data.items.map((type) => html`<${Type} key=${type.job_type} type=${type} reload=${reload} />`)}
    </table></section>`}`;
}

function Type({ type, reload }) {
  const [open, setOpen] = useState();
  const { run, busy, error } = useAction();
  const path = `job-types/${encodeURIComponent(type.job_type)}`;
  const toggle = (what) => setOpen(open === what ? undefined : what);
  const act = (work) => run(async () => {
    await work();
    setOpen(undefined);
    await reload();
  });
  const to = (status) => link("jobs", { status, job_type: type.job_type });
  const { retry } = type;
  return html`<tbody>
    <tr>
      <th scope="row"><a href=${link("jobs", { job_type: type.job_type })}>${type.job_type}</a>
        ${type.paused && html` <span class="status paused">paused</span>`}</th>
      <td class="n"><${Count} of=${type.ready} href=${to("pending")} /></td>
      <td class="n"><${Count} of=${type.running} href=${to("processing")} /></td>
      <td class="n"><${Count} of=${type.delayed} href=${to("pending")} /></td>
      <td class="n">${duration(type.oldest_ready_age)}</td>
      <td class="n" title=${retry.max_attempts > 1 ? `The second after ${duration(retry.base)}` : undefined}>${number(retry.max_attempts)}</td>
      <td class="n">${type.timeout ? duration(type.timeout) : "–"}</td>
      <td class="n">${type.max_pending ? number(type.max_pending) : "–"}</td>
      <td><span class="actions">
        ${type.schema && html`<button aria-expanded=${open === "schema"} onClick=${() => toggle("schema")}>Schema</button>`}
        ${type.paused
          ? html`<button disabled=${busy || !may("admin")} onClick=${() => act(() => post(`${path}/resume`))}>Resume</button>`
          : html`<button disabled=${busy || !may("admin")} aria-expanded=${open === "pause"} onClick=${() => toggle("pause")}>Pause …</button>`}
        <a class="button" href=${link("enqueue", { job_type: type.job_type })}>Enqueue …</a>
      </span></td>
    </tr>
    ${type.paused && html`<tr><td colspan=${COLUMNS} class="detail">${type.pause_reason ?? "No reason given"}${type.pause_until
      ? html`, ends <${Time} at=${type.pause_until} />` : ", until it is resumed"}</td></tr>`}
    ${error && html`<tr><td colspan=${COLUMNS} class="detail"><${Failure} error=${error} /></td></tr>`}
    ${open === "pause" && html`<tr><td colspan=${COLUMNS} class="detail"><${Pause} busy=${busy} pause=${(body) => act(() => post(`${path}/pause`, body))} /></td></tr>`}
    ${open === "schema" && html`<tr><td colspan=${COLUMNS} class="detail"><${Json} text=${JSON.stringify(type.schema)} label="schema" /></td></tr>`}
  </tbody>`;
}

function Pause({ busy, pause }) {
  const send = (event) => {
    event.preventDefault();
    const { reason, until } = Object.fromEntries(new FormData(event.target));
    pause({ ...(reason && { reason }), ...(until && { until: new Date(until).toISOString() }) });
  };
  return html`<form class="row fields-in-line" onSubmit=${send}>
    <label>Reason <input name="reason" maxlength="500" autofocus /></label>
    <label>Until <input name="until" type="datetime-local" step="1" /></label>
    <button class="primary" disabled=${busy}>Pause</button>
    <span class="faint">Running jobs go on; none is started.</span></form>`;
}
