// Put a job in: a form where the payload has a schema, JSON otherwise, and the equal call.

import { html, useMemo, useState } from "../vendor/preact.js";
import { useAction } from "./action.js";
import { post, request, useResource } from "./api.js";
import { curl } from "./curl.js";
import { indented, members } from "./json.js";
import { examplesOf } from "./first-job.js";
import { learnTypes } from "./live.js";
import { Code, Failure, Select } from "./parts.js";
import { go, link } from "./router.js";
import { may } from "./session.js";

export function Enqueue({ query }) {
  const from = query.get("from");
  const path = from ? `jobs/${encodeURIComponent(from)}` : undefined;
  const { data: types, error } = useResource("job-types", { matters: () => false });
  const { data: job, error: lost } = useResource(path, { matters: () => false, read: texts });
  const ready = (types || error) && (!from || job);
  return html`<header class="row"><h1>Enqueue</h1></header>
    <${Failure} error=${error ?? lost} />
    ${ready ? html`<${Form} types=${types?.items ?? []} jobType=${query.get("job_type")} job=${job} />` : !lost && html`<div class="loading"></div>`}`;
}

const texts = async (path) => members(await (await request("GET", path)).text());

/** The form, which begins with the texts of `job` if there is one. */
function Form({ types, jobType: wanted, job }) {
  const [jobType, setType] = useState(job ? JSON.parse(job.job_type) : wanted ?? types[0]?.job_type ?? "");
  const [data, setData] = useState(job ? indented(job.data) : "{}");
  const [metadata, setMetadata] = useState(job && job.metadata !== "{}" ? indented(job.metadata) : "");
  const [priority, setPriority] = useState(job ? JSON.parse(job.priority) : "normal");
  const [delay, setDelay] = useState("");
  const [raw, setRaw] = useState(false);
  const { run, busy, error } = useAction();
  const schema = types.find((one) => one.job_type === jobType)?.schema;
  const examples = examplesOf(schema).map((one) => JSON.stringify(one));
  const value = useMemo(() => membersOf(data), [data]);
  const formed = !raw && value !== undefined && isFormable(schema);
  const body = `{${[
    `"job_type":${JSON.stringify(jobType)}`,
    `"data":${data.trim() || "{}"}`,
    metadata.trim() && `"metadata":${metadata.trim()}`,
    priority !== "normal" && `"priority":"${priority}"`,
    delay && `"delay":${Number(delay)}`,
  ].filter(Boolean).join(",")}}`;
  const once = useMemo(randomKey, [body]);
  const send = (event) => {
    event.preventDefault();
    run(async () => {
      if (value === undefined) throw new Error("The data is not a JSON object.");
      if (membersOf(metadata) === undefined) throw new Error("The metadata is not a JSON object.");
      const { id } = await post("jobs", body, { headers: { "Idempotency-Key": once } });
      learnTypes([jobType]);
      go(link("jobs", { id }));
    });
  };
  const change = (name, to) => {
    const next = { ...value, [name]: to };
    const kept = Object.entries(next).filter(([, text]) => text !== undefined);
    setData(indented(`{${kept.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(",")}}`));
  };
  return html`<form class="card enqueue" onSubmit=${send}>
      <div class="row">
        <label>Job type <input list="types" value=${jobType} onInput=${(event) => setType(event.target.value)} required autocomplete="off" /></label>
        <datalist id="types">${types.map((one) => html`<option value=${one.job_type} />`)}</datalist>
        <label>Priority <${Select} value=${priority} onChoose=${setPriority} options=${["high", "normal", "low"]} /></label>
        <label>Delay in seconds <input type="number" min="0" step="any" value=${delay} onInput=${(event) => setDelay(event.target.value)} placeholder="0" /></label>
      </div>
      <header class="row"><h2>Data</h2>
        ${(formed || (raw && isFormable(schema))) && html`<button type="button" class="quiet" onClick=${() => setRaw(!raw)}>${formed ? "As JSON" : "As a form"}</button>`}
        ${examples.length > 0 && html`<span class="examples"><span class="faint">Examples:</span>${examples.map((example) => html`
          <button type="button" class="chip mono" title=${example} onClick=${() => setData(indented(example))}>${example}</button>`)}</span>`}
      </header>
      ${formed ? html`<${Fields} schema=${schema} value=${value} change=${change} />`
        : html`<textarea rows="10" spellcheck=${false} aria-label="Data as JSON" value=${data} onInput=${(event) => setData(event.target.value)}
            aria-invalid=${value === undefined}></textarea>`}
      <details open=${metadata !== ""}><summary>Metadata</summary>
        <textarea rows="3" spellcheck=${false} aria-label="Metadata as JSON" value=${metadata} placeholder='{"customer": "4711"}'
          onInput=${(event) => setMetadata(event.target.value)} aria-invalid=${membersOf(metadata) === undefined}></textarea></details>
      <${Failure} error=${error} />
      <div class="row"><button class="primary" disabled=${busy || !may("enqueue")}>Enqueue</button></div>
    </form>
    <section class="card"><header class="row"><h2>The same from anywhere</h2></header>
      <${Code} text=${curl(body)} label="as curl" /></section>`;
}

/** Return a key by which the service knows a job that it has been sent already: its answer may have been lost. */
function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Return the texts of a JSON object's members by name, undefined when the text is no such object. */
function membersOf(text) {
  try {
    const json = text.trim() || "{}";
    const value = JSON.parse(json);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? members(json) : undefined;
  } catch {
    return undefined;
  }
}

const SIMPLE = new Set(["string", "integer", "number", "boolean"]);

/** Tell whether a form can say all that the schema asks for. */
function isFormable(schema) {
  return schema?.type === "object" && schema.properties && Object.values(schema.properties).every((property) => SIMPLE.has(property.type));
}

function Fields({ schema, value, change }) {
  return html`<div class="fields">${Object.entries(schema.properties).map(([name, property]) => html`
    <label>${property.title ?? name}${schema.required?.includes(name) ? " *" : ""}
      <${Field} name=${name} property=${property} required=${schema.required?.includes(name)} value=${value[name]} change=${change} />
      ${property.description && html`<span class="faint">${property.description}</span>`}
    </label>`)}</div>`;
}

const LINE = 4096; // characters of a text that is written in one line
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?(e[-+]?\d+)?$/i;

/** `value` is the JSON text of the field, which keeps numbers that JavaScript would round. */
function Field({ name, property, required, value, change }) {
  if (property.enum) {
    const texts = property.enum.map((one) => JSON.stringify(one));
    const options = property.enum.map((one, n) => [texts[n], String(one).trim() ? String(one) : texts[n]]);
    const chosen = value ?? (property.default === undefined ? "" : JSON.stringify(property.default));
    return html`<${Select} value=${chosen} onChoose=${(text) => change(name, text || undefined)} required=${required}
      options=${texts.includes(chosen) && required ? options : [["", "–"], ...options]} />`;
  }
  if (property.type === "boolean") {
    const checked = value === undefined ? property.default === true : value === "true";
    return html`<input type="checkbox" checked=${checked} onChange=${(event) => change(name, String(event.target.checked))} />`;
  }
  const numeric = property.type !== "string";
  const read = (text) => {
    if (text === "") return undefined;
    if (!numeric) return JSON.stringify(text);
    return NUMBER.test(text) ? text : String(Number(text));
  };
  const shown = value === undefined ? "" : numeric ? value : String(JSON.parse(value));
  const input = {
    required, value: shown, autocomplete: "off", placeholder: property.default ?? "",
    onInput: (event) => change(name, read(event.target.value)),
  };
  if (numeric) return html`<input type="number" step=${property.type === "integer" ? 1 : "any"} min=${property.minimum} max=${property.maximum} ...${input} />`;
  const isLine = (property.format || property.pattern || property.maxLength <= LINE) && !shown.includes("\n");
  return isLine ? html`<input maxlength=${property.maxLength} ...${input} />` : html`<textarea class="text" rows="1" spellcheck=${false} ...${input}></textarea>`;
}
