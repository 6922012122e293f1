// A panel a status: counts, the normal band, alerts as marked points. Knows uPlot, and nothing of the server.
"use strict";

const charts = (() => {
  const HEIGHT = 170;
  const panels = new Map();
  let root = null;
  let minutes = 360;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // All panels show the same time, whenever their status was first seen
  function range() {
    let first = Infinity;
    let last = 0;
    for (const { points } of panels.values()) {
      if (!points.length) continue;
      first = Math.min(first, points[0][0]);
      last = Math.max(last, points[points.length - 1][0]);
    }
    return [Math.max(Math.min(first, last), last - minutes * 60), last];
  }

  const clock = (seconds) => new Date(seconds * 1e3).toISOString().slice(11, 16);

  // 1.2 M, 340 k: a label is never wider than its place
  function short(value) {
    const size = Math.abs(value);
    for (const [unit, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
      const by = unit === 1e4 ? 1e3 : unit;
      if (size >= unit) return `${Number((value / by).toPrecision(3))} ${letter}`;
    }
    return String(value);
  }

  // Points are [time, count, expected, low, high, score, mark]; a band is drawn once there is an expectation
  function columns(points) {
    const [from] = range();
    const shown = points.filter((point) => point[0] >= from);
    const known = (point) => point[2] > 0;
    return [
      shown.map((p) => p[0]),
      shown.map((p) => (known(p) ? p[4] : null)),
      shown.map((p) => (known(p) ? p[3] : null)),
      shown.map((p) => (known(p) ? p[2] : null)),
      shown.map((p) => p[1]),
      shown.map((p) => (p[6] === 1 ? p[1] : null)),
      shown.map((p) => (p[6] === 2 ? p[1] : null)),
    ];
  }

  function options(width) {
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const dots = (name, label, size) => ({
      label, stroke: colour(name), fill: colour(name), paths: () => null, points: { show: true, size, fill: colour(name) },
    });
    return {
      width, height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "UTC"),
      cursor: { sync: { key: "txmon" }, drag: { x: false, y: false } },
      scales: { x: { range }, y: { range: (u, low, high) => [0, Math.max(4, high * 1.08)] } },
      axes: [{ ...axis, values: (u, ticks) => ticks.map(clock) }, { ...axis, size: 46, values: (u, ticks) => ticks.map(short) }],
      bands: [{ series: [1, 2], fill: colour("--band") }],
      series: [
        { label: "time", value: (u, v) => (v == null ? "" : clock(v)) },
        { label: "at most", stroke: "transparent", points: { show: false } },
        { label: "at least", stroke: "transparent", points: { show: false } },
        { label: "expected", stroke: colour("--expected"), dash: [4, 4], points: { show: false } },
        { label: "count", stroke: colour("--count"), width: 1.5, points: { show: false } },
        dots("--pending", "pending", 5),
        dots("--alert", "alert", 8),
      ],
    };
  }

  function width(panel) {
    return Math.max(220, panel.plot.clientWidth);
  }

  function make(status, label) {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const plot = document.createElement("div");
    figure.dataset.status = status;
    plot.className = "plot";
    plot.tabIndex = 0;
    plot.setAttribute("role", "img");
    caption.append(label);
    caption.append(" ", document.createElement("span"));
    figure.append(caption, plot);
    root.append(figure);
    const panel = { status, label, figure, plot, note: caption.lastChild, points: [], chart: null, dirty: true };
    plot.addEventListener("keydown", (event) => move(panel, event));
    panels.set(status, panel);
    return panel;
  }

  // Arrow keys walk through the points; the panel's text follows, so that a screen reader says them
  function move(panel, event) {
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
    panel.plot.setAttribute("aria-label", `${clock(time)}: ${count} ${panel.label}${band}${alert == null ? "" : ", alert"}`);
  }

  function draw(panel) {
    panel.dirty = false;
    const data = columns(panel.points);
    if (panel.chart) panel.chart.setData(data);
    else panel.chart = new uPlot(options(width(panel)), data, panel.plot);
    const newest = panel.points[panel.points.length - 1];
    if (!newest) return;
    panel.figure.dataset.mark = String(newest[6]);
    const band = newest[2] > 0 ? `, ${newest[2].toFixed(1)} expected (${newest[3]} to ${newest[4]})` : ", warming up";
    panel.note.textContent = `${newest[1]}${band}`;
    const alerts = data[6].filter((value) => value != null).length;
    panel.plot.setAttribute("aria-label", `${panel.label}: ${newest[1]}${band}; ${alerts} alerts in what is shown`);
  }

  let planned = false;
  function plan() {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => {
      planned = false;
      for (const panel of panels.values()) if (panel.dirty) draw(panel);
    });
  }

  function rebuild() {
    for (const panel of panels.values()) {
      if (panel.chart) panel.chart.destroy();
      panel.chart = null;
      panel.dirty = true;
    }
    plan();
  }

  return {
    begin(element) {
      root = element;
      new ResizeObserver(() => {
        for (const panel of panels.values()) {
          if (panel.chart && panel.chart.width !== width(panel)) {
            panel.chart.setSize({ width: width(panel), height: HEIGHT });
          }
        }
      }).observe(root);
    },
    has: (status) => panels.has(status),
    clear() {
      for (const panel of panels.values()) if (panel.chart) panel.chart.destroy();
      panels.clear();
      root.replaceChildren();
    },
    set(status, label, points) {
      const panel = panels.get(status) || make(status, label);
      panel.points = points;
      panel.dirty = true;
      plan();
    },
    touch(status) { // its points have changed
      const panel = panels.get(status);
      if (!panel) return;
      panel.dirty = true;
      plan();
    },
    keep(statuses) {
      for (const [status, panel] of panels) {
        if (statuses.includes(status)) continue;
        if (panel.chart) panel.chart.destroy();
        panel.figure.remove();
        panels.delete(status);
      }
    },
    order(statuses) {
      statuses.forEach((status, i) => {
        const { figure } = panels.get(status);
        if (root.children[i] !== figure) root.insertBefore(figure, root.children[i] || null);
      });
    },
    show(back) {
      minutes = back;
      for (const panel of panels.values()) panel.dirty = true;
      plan();
    },
    rebuild,
  };
})();
