// Time series, drawn by uPlot.

import { html, useEffect, useRef } from "../vendor/preact.js";
import "./language.js";
import uPlot from "../vendor/uplot.js";
import { useTheme } from "./settings.js";
import { clock, duration, present } from "./time.js";

const HEIGHT = 160;
const MINUTE = 60;
const HOUR = 3600;
/** How far apart the marks of seconds are: what one reads as round. */
const STEPS = [
  ...[0.001, 0.01, 0.1, 1].flatMap((size) => [size, 2 * size, 5 * size]),
  ...[10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE],
  ...[1, 2, 6, 12, 24, 48, 7 * 24, 14 * 24, 28 * 24].map((hours) => hours * HOUR),
];

/**
 * `times` are seconds of the epoch; each of `series` has {label, values, color: a custom property, fill}.
 * `unit` is "count" or "seconds". The last minute is not over: what is counted in it stands behind a dotted line.
 */
export function Chart({ times, series, unit, label }) {
  const place = useRef();
  const chart = useRef();
  const now = useRef();
  now.current = { times, series };
  const theme = useTheme();
  const shape = series.map((one) => one.label).join();
  const lines = unit === "count" ? [...series.map(untilLast), ...series.map(soFar)] : series;
  useEffect(() => {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const show = unit === "seconds" ? duration : (value) => value.toLocaleString("en-US");
    const axis = { stroke: color("--faint"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
    chart.current = new uPlot(
      {
        width: place.current.clientWidth,
        height: HEIGHT,
        padding: [10, 20, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        scales: { y: { range: (_, low, high) => [0, Math.max(unit === "seconds" ? 0.01 : 4, high * 1.1)] } },
        axes: [
          { ...axis, font: "11px system-ui", size: 28, values: (_, ticks) => ticks.map(minute) },
          { ...axis, font: "11px system-ui", size: 58, ...(unit === "seconds" && { incrs: STEPS }), values: (_, ticks) => ticks.map((tick) => show(tick)) },
        ],
        series: [
          {},
          ...lines.map((one) => ({
            label: one.label,
            stroke: color(one.color),
            fill: one.fill && `${color(one.color)}22`,
            width: 1.75,
            points: unit === "seconds" ? { size: 4 } : { show: false },
            dash: one.dash,
            value: (_, value) => (value === null ? "–" : show(value)),
          })),
        ],
        hooks: { setCursor: [(plot) => readOut(plot, show)] },
      },
      [times, ...lines.map((one) => one.values)],
      place.current.firstElementChild,
    );
    const watcher = new ResizeObserver(() => {
      chart.current?.setSize({ width: place.current.clientWidth, height: HEIGHT });
    });
    watcher.observe(place.current);
    return () => {
      watcher.disconnect();
      chart.current?.destroy();
      chart.current = undefined;
    };
  }, [shape, unit, theme]);
  useEffect(() => {
    chart.current?.setData([times, ...lines.map((one) => one.values)]);
  });

  function readOut(plot, show) {
    const at = plot.cursor.idx;
    const line = place.current?.querySelector(".readout");
    if (!line) return;
    if (at === null || at === undefined) {
      line.textContent = "";
      return;
    }
    const { times, series } = now.current;
    const values = series.map(({ label, values }) => `${label} ${values[at] === null ? "–" : show(values[at])}`);
    line.textContent = [`${minute(times[at])}${at === times.length - 1 ? ", so far" : ""}`, ...values].join("  ·  ");
  }

  return html`<figure class="chart" ref=${place} aria-label=${label}>
    <div></div>
    <figcaption>
      ${series.map((one) => html`<span class="key"><i class=${`swatch ${one.color.slice(2)} ${one.dash ? "dashed" : ""}`}></i>${one.label}</span>`)}
      <span class="readout"></span>
    </figcaption>
  </figure>`;
}

/** A line without the minute that is not over. */
function untilLast(one) {
  return { ...one, values: [...one.values.slice(0, -1), null] };
}

/** The part of a line that leads into the minute that is not over. */
function soFar({ label, color, values }) {
  return { label, color, dash: [2, 4], values: values.map((value, n) => (n < values.length - 2 ? null : value)) };
}

function minute(seconds) {
  return clock(seconds * 1000, { hour: "2-digit", minute: "2-digit" });
}

/** Return the minutes of the last `window` seconds, and of each name in `figures` its value per minute. */
export function perMinute(items, window, figures) {
  const last = Math.floor(present() / 60000) * 60;
  const times = [];
  for (let at = last - window + 60; at <= last; at += 60) times.push(at);
  const byMinute = new Map();
  for (const item of items) {
    const at = Date.parse(item.minute) / 1000;
    byMinute.set(at, [...(byMinute.get(at) ?? []), item]);
  }
  const columns = Object.fromEntries(
    Object.entries(figures).map(([name, of]) => [name, times.map((at) => of(byMinute.get(at) ?? []))]),
  );
  return { times, ...columns };
}

export const sum = (name) => (items) => items.reduce((total, item) => total + item[name], 0);

/** A quantile over several job types: that of the slowest, for theirs cannot be merged. */
export const slowest = (name) => (items) => {
  const values = items.map((item) => item[name]).filter((value) => value !== null);
  return values.length ? Math.max(...values) : null;
};
