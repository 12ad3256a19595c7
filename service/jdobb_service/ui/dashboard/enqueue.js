// Put a job in: a form where the payload has a schema, JSON otherwise, and the equal call.

import { html, useEffect, useMemo, useState } from "../vendor/preact.js";
import { request, useResource } from "./api.js";
import { curl } from "./job.js";
import { members } from "./json.js";
import { Copy, Failure, Select } from "./parts.js";
import { go, link } from "./router.js";
import { useScopes } from "./session.js";

export function Enqueue({ query }) {
  const { data: types } = useResource("job-types", { matters: () => false });
  const [jobType, setType] = useState(query.get("job_type") ?? "");
  const [data, setData] = useState("{}");
  const [priority, setPriority] = useState("normal");
  const [delay, setDelay] = useState("");
  const [raw, setRaw] = useState(false);
  const [error, fail] = useState();
  const may = useScopes();
  const from = query.get("from");
  useEffect(() => {
    if (!from) return;
    (async () => {
      try {
        const text = await (await request("GET", `jobs/${encodeURIComponent(from)}`)).text();
        const found = members(text);
        setType(JSON.parse(found.job_type));
        setPriority(JSON.parse(found.priority));
        setData(found.data);
      } catch (failure) {
        fail(failure);
      }
    })();
  }, [from]);
  useEffect(() => {
    if (!jobType && types?.items.length) setType(types.items[0].job_type);
  }, [types]);
  const schema = types?.items.find((one) => one.job_type === jobType)?.schema;
  const value = useMemo(() => parsed(data), [data]);
  const formed = schema?.type === "object" && schema.properties && value !== undefined && !raw && isPlain(schema);
  const body = `{"job_type":${JSON.stringify(jobType)},"data":${data.trim() || "{}"}${priority === "normal" ? "" : `,"priority":"${priority}"`}${delay ? `,"delay":${Number(delay)}` : ""}}`;
  const send = async (event) => {
    event.preventDefault();
    fail(undefined);
    if (value === undefined) return fail(new Error("The data is not JSON."));
    try {
      const job = await (await request("POST", "jobs", body)).json();
      go(link("jobs", { id: job.id }));
    } catch (failure) {
      fail(failure);
    }
  };
  const change = (name, to) => {
    const next = { ...value };
    if (to === undefined) delete next[name];
    else next[name] = to;
    setData(JSON.stringify(next, null, 2));
  };
  return html`<header class="row"><h1>Enqueue</h1></header>
    <form class="card enqueue" onSubmit=${send}>
      <div class="row">
        <label>Job type <input list="types" value=${jobType} onInput=${(event) => setType(event.target.value)} required autocomplete="off" /></label>
        <datalist id="types">${types?.items.map((one) => html`<option value=${one.job_type} />`)}</datalist>
        <label>Priority <${Select} value=${priority} onChoose=${setPriority} options=${["high", "normal", "low"]} /></label>
        <label>Delay in seconds <input type="number" min="0" step="any" value=${delay} onInput=${(event) => setDelay(event.target.value)} placeholder="0" /></label>
      </div>
      <header class="row"><h2>Data</h2>
        ${schema && html`<button type="button" class="quiet" onClick=${() => setRaw(!raw)}>${formed ? "As JSON" : raw ? "As a form" : ""}</button>`}
      </header>
      ${formed ? html`<${Fields} schema=${schema} value=${value} change=${change} />`
        : html`<textarea rows="10" spellcheck="false" aria-label="Data as JSON" value=${data} onInput=${(event) => setData(event.target.value)}
            aria-invalid=${value === undefined}></textarea>`}
      <${Failure} error=${error} />
      <div class="row"><button class="primary" disabled=${!may("enqueue")}>Enqueue</button></div>
    </form>
    <section class="card"><header class="row"><h2>The same from anywhere</h2></header>
      <div class="json"><${Copy} text=${curl(body)} label="Copy as curl" /><pre tabindex="0">${curl(body)}</pre></div></section>`;
}

function parsed(text) {
  try {
    return JSON.parse(text.trim() || "{}");
  } catch {
    return undefined;
  }
}

const SIMPLE = new Set(["string", "integer", "number", "boolean"]);

/** Tell whether a form can say all that the schema asks for. */
function isPlain(schema) {
  return Object.values(schema.properties).every((property) => SIMPLE.has(property.type));
}

function Fields({ schema, value, change }) {
  return html`<div class="fields">${Object.entries(schema.properties).map(([name, property]) => html`
    <label>${property.title ?? name}${schema.required?.includes(name) ? " *" : ""}
      <${Field} name=${name} property=${property} required=${schema.required?.includes(name)} value=${value[name]} change=${change} />
      ${property.description && html`<span class="faint">${property.description}</span>`}
    </label>`)}</div>`;
}

function Field({ name, property, required, value, change }) {
  if (property.enum) {
    const options = required && property.default === undefined ? property.enum : ["", ...property.enum];
    const chosen = value ?? property.default ?? "";
    return html`<${Select} value=${chosen} onChoose=${(one) => change(name, one || undefined)} options=${options} />`;
  }
  if (property.type === "boolean") {
    return html`<input type="checkbox" checked=${value ?? property.default ?? false} onChange=${(event) => change(name, event.target.checked)} />`;
  }
  const numeric = property.type !== "string";
  const read = (text) => (text === "" ? undefined : numeric ? Number(text) : text);
  return html`<input type=${numeric ? "number" : "text"} step=${property.type === "integer" ? 1 : "any"} min=${property.minimum} max=${property.maximum}
    required=${required} value=${value ?? ""} placeholder=${property.default === undefined ? "" : String(property.default)}
    onInput=${(event) => change(name, read(event.target.value))} autocomplete="off" />`;
}
