// One stream for all tabs: in a SharedWorker where there is one, else in each tab that is visible.

import { watch } from "./job-stream.js";

const MOST_TYPES = 100;

/** Holds the stream while somebody looks at it, and tells everybody what it brings. */
export class Hub {
  #viewers = new Map();
  #types = [];
  #base;
  #cut;
  #connected;

  constructor(base) {
    this.#base = base;
  }

  /** `say` gets {kind: "update", update}, {kind: "gap"} and {kind: "connected", value}. */
  join(viewer, say) {
    this.#viewers.set(viewer, { say, awake: true });
    if (this.#connected !== undefined) say({ kind: "connected", value: this.#connected });
    this.#turn();
  }

  leave(viewer) {
    this.#viewers.delete(viewer);
    this.#turn();
  }

  /** A viewer that is not looked at needs no stream. */
  look(viewer, awake) {
    const found = this.#viewers.get(viewer);
    if (found) found.awake = awake;
    this.#turn();
  }

  /** Watch these job types too: what one viewer knows holds for all. */
  learn(types) {
    const known = new Set(this.#types);
    const fresh = types.filter((type) => !known.has(type));
    if (!fresh.length || this.#types.length >= MOST_TYPES) return;
    this.#types = [...this.#types, ...fresh].slice(0, MOST_TYPES);
    this.#stop();
    this.#turn();
  }

  #turn() {
    const wanted = [...this.#viewers.values()].some((viewer) => viewer.awake) && this.#types.length > 0;
    if (wanted && !this.#cut) this.#start();
    if (wanted) return;
    this.#stop();
    if (this.#connected === false) {
      this.#connected = undefined; // what nobody waits for is not lost
      this.#tell({ kind: "connected", value: true });
    }
  }

  #start() {
    const cut = new AbortController();
    this.#cut = cut;
    const url = new URL("events", this.#base);
    for (const type of this.#types) url.searchParams.append("job_type", type);
    const connected = (value) => {
      if (cut.signal.aborted || value === this.#connected) return;
      this.#connected = value;
      this.#tell({ kind: "connected", value });
    };
    const show = (data, name) => {
      if (name === "message") this.#tell({ kind: "update", update: data });
      if (name === "gap") this.#tell({ kind: "gap" });
    };
    watch(url, show, { signal: cut.signal, connected });
  }

  #stop() {
    this.#cut?.abort();
    this.#cut = undefined;
  }

  #tell(message) {
    for (const { say } of this.#viewers.values()) say(message);
  }
}
