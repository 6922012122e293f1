// A group of charts: counts, the normal band, alerts as marked points. Knows uPlot and the range, and nothing of the server.
import * as range from "./range.js";
import { clock, date, dateTime, isUtc, onZone, sameDay } from "./time.js";
import { element, nameOf } from "./dom.js";

const groups = new Set();
const hovering = new Set(); // told of the time under the cursor, in seconds, or null

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// 1.2 M, 340 k: a label is never wider than its place
export function short(value) {
  const size = Math.abs(value);
  for (const [unit, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    const by = unit === 1e4 ? 1e3 : unit;
    if (size >= unit) return `${Number((value / by).toPrecision(3))} ${letter}`;
  }
  return String(Math.round(value * 100) / 100);
}

// The place of the first point at or after `time`
export function placeOf(points, time) {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Points are [time, count, expected, low, high, score, mark]; a band is drawn once there is an expectation.
// A mark of -1 is a minute that nobody observed, -2 one of closed hours: without rows, it leaves a hole
function columns(points) {
  const [from, to] = range.current();
  const first = Math.max(0, placeOf(points, from) - 1);
  const shown = points.slice(first, placeOf(points, to) + 1);
  const known = (point) => point[2] > 0;
  return [
    shown.map((p) => p[0]),
    shown.map((p) => (known(p) ? p[4] : null)),
    shown.map((p) => (known(p) ? p[3] : null)),
    shown.map((p) => (known(p) ? p[2] : null)),
    shown.map((p) => (p[6] < 0 && p[1] === 0 ? null : p[1])),
    shown.map((p) => (p[6] === 1 ? p[1] : null)),
    shown.map((p) => (p[6] === 2 ? p[1] : null)),
  ];
}

// Each label is a time; the first one, and each that begins a day, has its date below
function timeLabels(u, ticks, axis, space, step) {
  return ticks.map((tick, i) => {
    if (step >= 86400) return date(tick);
    return i === 0 || !sameDay(tick, ticks[i - 1]) ? `${clock(tick)}\n${date(tick)}` : clock(tick);
  });
}

function wheel(u) {
  u.over.addEventListener("wheel", (event) => {
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      range.pan(Math.sign(event.deltaX || event.deltaY) / 8);
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      event.preventDefault();
      range.scale(event.deltaY > 0 ? 1.3 : 1 / 1.3, u.posToVal(event.offsetX, "x"));
    }
  }, { passive: false });
  u.over.addEventListener("dblclick", () => range.showLive());
}

function options(width, height) {
  const small = height < 130;
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false },
    font: "12px system-ui, sans-serif" };
  const dots = (name, size) => ({
    stroke: colour(name), fill: colour(name), paths: () => null, points: { show: true, size, fill: colour(name) },
  });
  return {
    width, height, legend: { show: false }, padding: [8, 18, 0, 0],
    tzDate: (seconds) => (isUtc() ? uPlot.tzDate(new Date(seconds * 1e3), "UTC") : new Date(seconds * 1e3)),
    cursor: { sync: { key: "txmon" }, drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
    scales: {
      x: { range: () => range.current() },
      y: { range: (u, low, high) => [0, Math.max(4, (high ?? 0) * 1.08)] },
    },
    axes: [
      { ...axis, values: timeLabels, size: 36, space: 64 },
      { ...axis, values: (u, ticks) => ticks.map(short), size: 48, space: small ? 26 : 34 },
    ],
    bands: [{ series: [1, 2], fill: colour("--band") }],
    series: [
      {},
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
      { stroke: colour("--expected"), dash: [4, 4], points: { show: false } },
      { stroke: colour("--count"), width: 1.5, points: { show: false } },
      dots("--pending", 5),
      dots("--alert", small ? 6 : 8),
    ],
    hooks: {
      ready: [wheel],
      setSelect: [(u) => {
        if (u.select.width < 8) return;
        range.zoom(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
        u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      }],
      setCursor: [(u) => {
        const time = u.cursor.idx == null || u.cursor.left < 0 ? null : u.data[0][u.cursor.idx];
        for (const act of hovering) act(time ?? null);
      }],
    },
  };
}

export const onHover = (act) => hovering.add(act);

// Draws a chart of each name in `root`; height in pixels
export class Charts {
  constructor(root, height) {
    this.root = root;
    this.height = height;
    this.panels = new Map();
    this.planned = false;
    groups.add(this);
    new ResizeObserver(() => {
      for (const panel of this.panels.values()) {
        if (panel.chart && panel.chart.width !== this.width(panel)) {
          panel.chart.setSize({ width: this.width(panel), height: this.height });
        }
      }
    }).observe(root);
  }

  width(panel) { return Math.max(160, panel.plot.clientWidth); }

  has(name) { return this.panels.has(name); }

  make(name, label) {
    const figure = element("figure");
    const note = element("span", "note");
    const plot = element("div", "plot");
    figure.dataset.status = name;
    plot.tabIndex = 0;
    plot.setAttribute("role", "img");
    figure.append(element("figcaption", "", nameOf(label), note), plot);
    this.root.append(figure);
    const panel = { label, figure, plot, note, points: [], chart: null, dirty: true };
    plot.addEventListener("keydown", (event) => move(panel, event));
    this.panels.set(name, panel);
    return panel;
  }

  // more: what else to say in the caption
  set(name, label, points, more = "") {
    const panel = this.panels.get(name) || this.make(name, label);
    panel.more = more;
    panel.points = points;
    panel.dirty = true;
    this.plan();
  }

  // Only these, in this order
  keep(names) {
    for (const [name, panel] of this.panels) {
      if (names.includes(name)) continue;
      if (panel.chart) panel.chart.destroy();
      panel.figure.remove();
      this.panels.delete(name);
    }
    names.forEach((name, i) => {
      const panel = this.panels.get(name);
      if (panel && this.root.children[i] !== panel.figure) {
        this.root.insertBefore(panel.figure, this.root.children[i] || null);
      }
    });
  }

  draw(panel) {
    panel.dirty = false;
    const data = columns(panel.points);
    if (panel.chart) panel.chart.setData(data);
    else panel.chart = new uPlot(options(this.width(panel), this.height), data, panel.plot);
    caption(panel, panel.points[panel.points.length - 1]);
    describe(panel, data);
  }

  plan() {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => {
      this.planned = false;
      for (const panel of this.panels.values()) if (panel.dirty) this.draw(panel);
    });
  }

  rebuild() {
    for (const panel of this.panels.values()) {
      if (panel.chart) panel.chart.destroy();
      panel.chart = null;
      panel.dirty = true;
    }
    this.plan();
  }

  redraw() {
    for (const panel of this.panels.values()) panel.dirty = true;
    this.plan();
  }
}

export function textOf(point, brief = false) {
  if (!point) return "no data";
  const count = point[6] === -1 && !point[1] ? "not observed" : point[6] === -2 && !point[1] ? "closed" : short(point[1]);
  if (brief && point[2] > 0) return `${count} (${short(point[3])} to ${short(point[4])})`;
  return point[2] > 0 ? `${count} (normal ${short(point[3])} to ${short(point[4])})` : `${count} (warming up)`;
}

function caption(panel, point) {
  if (!point) return;
  panel.figure.dataset.mark = String(point[6]);
  panel.note.textContent = `${textOf(point, true)}${panel.more ? `; ${panel.more}` : ""}`;
  panel.note.title = textOf(point);
}

// What a screen reader says of the whole chart
function describe(panel, data) {
  const counts = data[4].filter((value) => value != null);
  const alerts = data[0].filter((time, i) => data[6][i] != null);
  const newest = panel.points[panel.points.length - 1];
  if (!counts.length) { panel.plot.setAttribute("aria-label", `${panel.label}: nothing in this range`); return; }
  const [from, to] = range.current();
  const when = alerts.length ? `, first at ${dateTime(alerts[0])}, last at ${dateTime(alerts[alerts.length - 1])}` : "";
  panel.plot.setAttribute("aria-label", `Chart of ${panel.label}, ${dateTime(from)} to ${dateTime(to)}: now ${textOf(newest)}; `
    + `${short(Math.min(...counts))} to ${short(Math.max(...counts))} in this range; ${alerts.length} alerts${when}. `
    + "Arrow keys read single points.");
}

// Arrow keys walk through the points; the text of the chart follows, so that a screen reader says them
function move(panel, event) {
  if (event.key === "Escape") { range.showLive(); return; }
  if (event.key === "+" || event.key === "-") { range.scale(event.key === "+" ? 0.5 : 2, undefined, true); return; }
  const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -60, PageDown: 60 }[event.key];
  const chart = panel.chart;
  if (!step || !chart || !chart.data[0].length) return;
  event.preventDefault();
  const last = chart.data[0].length - 1;
  const from = chart.cursor.idx == null ? last : chart.cursor.idx;
  const index = Math.min(last, Math.max(0, from + step));
  chart.setCursor({ left: chart.valToPos(chart.data[0][index], "x"), top: 10 });
  const [time, high, low, , count, , alert] = chart.data.map((column) => column[index]);
  const band = high == null ? "" : `, normal ${low} to ${high}`;
  const seen = count == null ? "nothing observed" : `${count} ${panel.label}`;
  panel.plot.setAttribute("aria-label", `${clock(time)}: ${seen}${band}${alert == null ? "" : ", alert"}`);
}

range.onRange(() => { for (const group of groups) group.redraw(); });
onZone(() => { for (const group of groups) group.rebuild(); });
export const rebuildAll = () => { for (const group of groups) group.rebuild(); };

// A line as high as the text around it: the last `count` points and their band
export function sparkline(points, count = 60) {
  const space = "http://www.w3.org/2000/svg";
  const make = (tag, attributes) => {
    const made = document.createElementNS(space, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const shown = points.slice(-count);
  const [width, height] = [160, 36];
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, class: "spark", "aria-hidden": "true", focusable: "false" });
  if (shown.length < 2) return svg;
  const most = Math.max(1, ...shown.map((p) => Math.max(p[1], p[2] > 0 ? p[4] : 0)));
  const x = (i) => ((i * (width - 6)) / (shown.length - 1) + 3).toFixed(1);
  const y = (value) => (height - 3 - (value * (height - 6)) / most).toFixed(1);
  const upper = shown.map((p, i) => `${x(i)},${y(p[2] > 0 ? p[4] : 0)}`);
  const lower = shown.map((p, i) => `${x(i)},${y(p[2] > 0 ? p[3] : 0)}`).reverse();
  svg.append(make("polygon", { points: [...upper, ...lower].join(" "), class: "band" }));
  svg.append(make("polyline", { points: shown.map((p, i) => `${x(i)},${y(p[1])}`).join(" "), class: "line" }));
  shown.forEach((p, i) => { if (p[6] === 2) svg.append(make("circle", { cx: x(i), cy: y(p[1]), r: 2.5, class: "dot" })); });
  return svg;
}
