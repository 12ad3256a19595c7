// What several screens are made of.

import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { indented, parts } from "./json.js";
import { useSettings } from "./settings.js";
import { ago, instant } from "./time.js";

export const STATUSES = ["pending", "processing", "complete", "failed", "cancelled"];
export const TERMINAL = new Set(["complete", "failed", "cancelled"]);

const SHOWN = 20000;

export function number(value) {
  return value.toLocaleString("en-US");
}

/** A number that leads to what it counts; nothing is no more than that. */
export const Count = ({ of: count, href }) => (count ? html`<a href=${href}>${number(count)}</a>` : html`<span class="faint">0</span>`);

export const Status = ({ of: status }) => html`<span class=${`status ${status}`}>${status}</span>`;

export function Progress({ job }) {
  const percent = Math.round(job.progress * 100);
  const label = `Progress of ${job.id ?? job.job_id}`;
  return html`<span class=${`progress ${job.status}`}>
    <progress max="100" value=${percent} aria-label=${label}></progress><span class="percent">${percent} %</span>
  </span>`;
}

/** What there is to say of a job in a line: how far it is, what it does or did, when it goes on, why it ended. */
export function Says({ job, now, bar = job.status === "processing" }) {
  const waits = job.status === "pending" && Date.parse(job.run_at) > now;
  const text = job.status === "processing" || job.status === "complete" ? job.message : job.error;
  return html`<div class=${`says ${job.status}`}>
    ${bar && html`<${Progress} job=${job} />`}
    ${waits && html`<span>${job.attempt ? "again" : "due"} <${Time} at=${job.run_at} now=${now} /></span>`}
    <span class="message" title=${text}>${text}</span>
  </div>`;
}

/** An instant as the person wants it, in full on hover. */
export function Time({ at, now }) {
  const { times } = useSettings();
  if (!at) return html`<span class="faint">–</span>`;
  return html`<time datetime=${at} title=${instant(at)}>${times === "relative" ? ago(at, now) : instant(at)}</time>`;
}

/** JSON as the service sent it. */
export function Json({ text, label }) {
  const { hidePayloads } = useSettings();
  const [shown, show] = useState(!hidePayloads);
  useEffect(() => show(!hidePayloads), [hidePayloads]);
  const pretty = useMemo(() => indented(text), [text]);
  if (!shown) return html`<button class="quiet" onClick=${() => show(true)}>Show ${label}</button>`;
  return html`<div class="json">
    <span class="corner">${hidePayloads && html`<button class="copy" onClick=${() => show(false)}>Hide</button>`}
      <${Copy} text=${text} label=${`Copy ${label}`} /></span>
    <${Long} text=${pretty} label=${label} coloured />
  </div>`;
}

/** A text to be copied as it is. */
export function Code({ text, label }) {
  return html`<div class="json code"><span class="corner"><${Copy} text=${text} label=${`Copy ${label}`} /></span>
    <${Long} text=${text} label=${label} /></div>`;
}

/** A text of any length, of which a page can hold only so much in colours. */
function Long({ text, label, coloured = false }) {
  const [whole, setWhole] = useState(false);
  const isCut = text.length > SHOWN && !whole;
  const content = useMemo(() => {
    const shown = isCut ? text.slice(0, SHOWN) : text;
    return coloured && shown.length <= SHOWN ? [...parts(shown)].map(([kind, part]) => html`<span class=${kind}>${part}</span>`) : shown;
  }, [text, isCut, coloured]);
  return html`<pre tabindex="0" aria-label=${label}>${content}</pre>
    ${isCut && html`<button class="quiet" onClick=${() => setWhole(true)}>Show all ${number(Math.ceil(text.length / 1000))} kB</button>`}`;
}

/** A button that copies; without the clipboard API, as on plain http, by a selection. */
export function Copy({ text, label, children = "Copy" }) {
  const [done, set] = useState(false);
  const copy = async () => {
    set(await toClipboard(text));
    setTimeout(() => set(false), 1500);
  };
  return html`<button class="copy" onClick=${copy} aria-label=${label} title=${label}>${done ? "Copied" : children}</button>`;
}

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function Failure({ error }) {
  if (!error) return null;
  return html`<div class="notice bad" role="alert">
    <strong>${error.message}</strong>
    ${error.errors?.map((one) => html`<div><code>${one.pointer}</code> ${one.detail}</div>`)}
  </div>`;
}

export function Empty({ children }) {
  return html`<div class="empty">${children}</div>`;
}

/** A choice of `options`: texts, or pairs of value and text. */
export function Select({ options, value, onChoose, ...rest }) {
  return html`<select ...${rest} onChange=${(event) => onChoose(event.target.value)}>
    ${options.map((option) => [option].flat()).map(([one, text = one]) => html`<option value=${one} selected=${one === value}>${text}</option>`)}
  </select>`;
}

/** A dialog that asks before something happens; `answer` is told true or false. */
export function Ask({ title, children, action, danger, answer }) {
  const dialog = useRef();
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  return html`<dialog ref=${dialog} aria-label=${title} onCancel=${() => answer(false)}>
    <h2>${title}</h2>
    <div>${children}</div>
    <div class="row end">
      <button onClick=${() => answer(false)}>Keep it as it is</button>
      <button class=${danger ? "danger" : "primary"} onClick=${() => answer(true)}>${action}</button>
    </div>
  </dialog>`;
}

/** Numbers of the last minutes as a line without axes; the last minute is not over and left off. */
export function Spark({ values: all, label }) {
  const [width, height] = [96, 22];
  const values = all.slice(0, -1);
  const top = Math.max(1, ...values);
  const step = width / Math.max(1, values.length - 1);
  const points = values.map((value, n) => `${(n * step).toFixed(1)},${(height - 2 - (value / top) * (height - 4)).toFixed(1)}`);
  return html`<svg class="spark" viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${label}>
    <polyline points=${points.join(" ")} /></svg>`;
}

export function shortId(id) {
  return id.length > 14 ? `…${id.slice(-12)}` : id;
}
