// Job types: what they are set to, their payloads, and the switch that pauses them.

import { html, useState } from "../vendor/preact.js";
import { useAction } from "./action.js";
import { post, useResource } from "./api.js";
import { Empty, Failure, Json, Time, number } from "./parts.js";
import { link } from "./router.js";
import { may } from "./session.js";
import { duration } from "./time.js";

export function JobTypes() {
  const { data, error, reload } = useResource("job-types");
  return html`<header class="row"><h1>Job types</h1></header>
    <${Failure} error=${error} />
    ${!data ? html`<div class="loading"></div>` : !data.items.length ? html`<${Empty}>There is none yet.<//>` : data.items.map((type) => html`<${Type} key=${type.job_type} type=${type} reload=${reload} />`)}`;
}

function Type({ type, reload }) {
  const [asking, ask] = useState(false);
  const { run, busy, error } = useAction();
  const path = `job-types/${encodeURIComponent(type.job_type)}`;
  const act = (work) => run(async () => {
    await work();
    ask(false);
    await reload();
  });
  const pause = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const body = {};
    if (form.get("reason")) body.reason = form.get("reason");
    if (form.get("until")) body.until = new Date(form.get("until")).toISOString();
    act(() => post(`${path}/pause`, body));
  };
  const { retry } = type;
  return html`<section class="card type">
    <header class="row"><h2><a href=${link("jobs", { job_type: type.job_type })}>${type.job_type}</a></h2>
      ${type.paused && html`<span class="status paused">paused</span>`}
      <span class="actions">
        ${type.paused
          ? html`<button disabled=${busy || !may("admin")} onClick=${() => act(() => post(`${path}/resume`))}>Resume</button>`
          : html`<button disabled=${!may("admin")} aria-expanded=${asking} onClick=${() => ask(!asking)}>Pause …</button>`}
        <a class="button" href=${link("enqueue", { job_type: type.job_type })}>Enqueue …</a>
      </span>
    </header>
    <${Failure} error=${error} />
    ${asking && html`<form class="row" onSubmit=${pause}>
      <label>Reason <input name="reason" maxlength="500" autofocus /></label>
      <label>Until <input name="until" type="datetime-local" step="1" /></label>
      <button class="primary" disabled=${busy}>Pause</button></form>`}
    ${type.paused && html`<p>${type.pause_reason ?? "No reason given"}${type.pause_until ? html`, until <${Time} at=${type.pause_until} />` : ", until it is resumed"}</p>`}
    <dl class="facts across">
      <div><dt>Ready</dt><dd>${number(type.ready)}</dd></div><div><dt>Running</dt><dd>${number(type.running)}</dd></div>
      <div><dt>Delayed</dt><dd>${number(type.delayed)}</dd></div>
      <div><dt>Oldest waits</dt><dd>${duration(type.oldest_ready_age)}</dd></div>
      <div><dt>Attempts</dt><dd>${retry.max_attempts}${retry.max_attempts > 1 ? `, from ${duration(retry.base)} on` : ""}</dd></div>
      <div><dt>Timeout</dt><dd>${type.timeout ? duration(type.timeout) : "none"}</dd></div>
      <div><dt>Pending at most</dt><dd>${type.max_pending ? number(type.max_pending) : "any number"}</dd></div>
    </dl>
    ${type.schema && html`<details><summary>Payload schema</summary><${Json} text=${JSON.stringify(type.schema)} label="schema" /></details>`}
  </section>`;
}
