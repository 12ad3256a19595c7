// What a person sets for this browser; see settings.js.

import { html } from "../vendor/preact.js";
import { Keys } from "./keys.js";
import { leave, needsKey } from "./session.js";
import { change, useSettings } from "./settings.js";

const CHOICES = {
  theme: ["Theme", { system: "As the system", light: "Light", dark: "Dark" }],
  times: ["Times", { relative: "Relative", local: "Local", utc: "UTC" }],
};
const SWITCHES = {
  live: ["Live updates", "Rows and figures change while you look."],
  hidePayloads: ["Hide payloads", "Data and results are shown when you ask, for screens that others see."],
};

export function Preferences() {
  const settings = useSettings();
  return html`<header class="row"><h1>Settings</h1></header>
    <section class="card preferences">
      ${Object.entries(CHOICES).map(([name, [label, values]]) => html`<fieldset><legend>${label}</legend>
        ${Object.entries(values).map(([value, text]) => html`<label class="inline"><input type="radio" name=${name} value=${value}
          checked=${settings[name] === value} onChange=${() => change({ [name]: value })} /> ${text}</label>`)}</fieldset>`)}
      ${Object.entries(SWITCHES).map(([name, [label, text]]) => html`<label class="inline switch"><input type="checkbox" checked=${settings[name]}
        onChange=${(event) => change({ [name]: event.target.checked })} /> <span><strong>${label}</strong><br /><span class="faint">${text}</span></span></label>`)}
      ${needsKey() && html`<p><button onClick=${leave}>Sign out</button></p>`}
    </section>
    <section class="card"><h2>Keys</h2><${Keys} /></section>`;
}
