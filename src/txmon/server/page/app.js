// The page: asks once for everything, then follows the live feed. Text goes in as text, never as HTML.
"use strict";

(() => {
  const $ = (id) => document.getElementById(id);
  const FIRST = ["*", "failed", "reversed", "denied", "approved"];
  const PANELS = 12;
  const LOG = 30;
  const COLOURS = ["#2c9a4b", "#c0241c", "#7a3fb5", "#b26a00", "#1f5fbf", "#0f8a8a", "#a03370", "#6b7280"];
  const FIXED = { approved: 0, failed: 1, reversed: 2, denied: 3, backend_reversed: 4, processing: 5, refunded: 6 };
  const ARROWS = {
    "rising a lot": "\u2191\u2191", "rising": "\u2191", "stable": "\u2192", "falling": "\u2193", "falling a lot": "\u2193\u2193",
  };
  const incidents = new Map();
  let bucket = 60;
  let total = "*";
  let hour = {};
  let trends = {};
  let source = null;
  let retry = 0;

  const label = (status) => (status === total ? "all transactions" : status);
  const order = (statuses) => {
    const place = (status) => (FIRST.includes(status) ? FIRST.indexOf(status) : FIRST.length);
    return [...statuses].sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
  };
  const colour = (status) => {
    if (status in FIXED) return COLOURS[FIXED[status]];
    return COLOURS[7];
  };

  function element(tag, text, name) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  }

  function say(text, live) {
    $("state").textContent = text;
    $("state").dataset.live = live ? "yes" : "no";
  }

  function drawHour() {
    const rows = order(Object.keys(hour)).map((status) => {
      const row = element("tr");
      const name = element("th", label(status));
      name.scope = "row";
      const anomalies = element("td", String(hour[status].anomalies), hour[status].anomalies ? "some" : "");
      const trend = trends[status] ? trends[status].name : "stable";
      row.append(name, element("td", String(hour[status].total)), anomalies, element("td", `${ARROWS[trend]} ${trend}`));
      return row;
    });
    $("hour").replaceChildren(...rows);
    const counts = {};
    for (const status of Object.keys(hour)) if (status !== total) counts[status] = hour[status].total;
    drawMix("mix-hour", counts, true);
  }

  function drawMix(id, counts, legend) {
    const shown = order(Object.keys(counts)).filter((status) => counts[status] > 0);
    const sum = shown.reduce((all, status) => all + counts[status], 0);
    const percent = (status) => `${((100 * counts[status]) / sum).toFixed(1)} %`;
    $(id).replaceChildren(...shown.map((status) => {
      const part = element("div");
      part.style.flexGrow = String(counts[status]);
      part.style.background = colour(status);
      part.title = `${status} ${percent(status)}`;
      return part;
    }));
    const words = shown.map((status) => `${status} ${percent(status)}`).join(", ");
    $(id).setAttribute("aria-label", words || "nothing yet");
    if (!legend) return;
    $("legend").replaceChildren(...shown.map((status) => {
      const item = element("li");
      const mark = element("i");
      mark.style.background = colour(status);
      item.append(mark, `${status} ${percent(status)}`);
      return item;
    }));
  }

  function drawIncident(row) {
    const old = incidents.get(row.id);
    if (row.state === "resolved") {
      if (old) old.remove();
      incidents.delete(row.id);
      $("no-incidents").hidden = incidents.size > 0;
      return;
    }
    const item = element("li", undefined, row.acknowledged ? "acknowledged" : "");
    item.dataset.id = row.id;
    const key = Object.entries(row.key).map(([name, value]) => ` ${name} ${value}`).join(",");
    item.append(element("p", `${row.label}${key}, since ${row.start.slice(11, 16)}`, "what"));
    item.append(element("p", row.explanation || row.text));
    const excess = `${row.excess > 0 ? "+" : ""}${row.excess.toFixed(0)} transactions against normal`;
    item.append(element("p", `${row.observed} seen, ${row.expected.toFixed(1)} expected at the peak; ${excess}`, "why"));
    if (row.acknowledged) {
      item.append(element("p", "Acknowledged: no more reminders.", "why"));
    } else {
      const button = element("button", "Acknowledge");
      button.type = "button";
      button.setAttribute("aria-label", `Acknowledge ${row.label} since ${row.start.slice(11, 16)}`);
      button.addEventListener("click", () => acknowledge(row.id, button));
      item.append(button);
    }
    if (old) old.replaceWith(item);
    else $("incident-list").prepend(item);
    incidents.set(row.id, item);
    $("no-incidents").hidden = true;
  }

  async function acknowledge(id, button) {
    button.disabled = true;
    try {
      const answer = await fetch(`v1/incidents/${encodeURIComponent(id)}/ack`, { method: "POST" });
      if (answer.ok) drawIncident(await answer.json());
      else throw new Error((await answer.json()).error);
    } catch (wrong) {
      button.disabled = false;
      button.textContent = `Acknowledge (failed: ${wrong.message})`;
    }
  }

  function log(verdict) {
    const item = element("li");
    const time = element("time", verdict.time.slice(0, 16).replace("T", " "));
    time.dateTime = verdict.time;
    const early = verdict.partial ? " so far" : "";
    item.append(time, `${verdict.recommendation}: ${verdict.text}${early}`);
    $("log").prepend(item);
    while ($("log").children.length > LOG) $("log").lastChild.remove();
  }

  function addPoints(series) {
    const most = Math.floor(86400 / bucket);
    for (const status of order(Object.keys(series))) {
      if (charts.has(status) || charts.count() < PANELS) charts.add(status, label(status), series[status], most);
    }
    $("empty").hidden = true;
  }

  function drawOpen(row) {
    drawMix("mix-now", row.counts || {}, false);
    $("clock").textContent = row.time ? `minute ${row.time.slice(11, 16)} UTC` : "";
  }

  const handlers = {
    bucket(row) {
      if (Object.keys(row.trends).length) ({ trends, hour } = row);
      addPoints(row.series);
      drawHour();
    },
    verdict: log,
    incident: drawIncident,
    minute: drawOpen, // not `open`: that is EventSource's own
    trend: (row) => log({ time: row.time, recommendation: "trend", text: row.text }),
  };

  function listen(position) {
    if (source) source.close();
    source = new EventSource(`v1/stream?after=${encodeURIComponent(position)}`);
    source.addEventListener("open", () => { retry = 0; say("live", true); });
    for (const kind of Object.keys(handlers)) {
      source.addEventListener(kind, (event) => handlers[kind](JSON.parse(event.data)));
    }
    source.addEventListener("reset", begin);
    source.addEventListener("error", () => {
      say("reconnecting", false);
      if (source.readyState === EventSource.CLOSED) later(); // refused: not merely interrupted
    });
  }

  function later() {
    retry = Math.min(30, retry * 2 + 1);
    say(`reconnecting in ${retry} s`, false);
    setTimeout(begin, retry * 1000);
  }

  async function begin() {
    if (source) source.close();
    let answer;
    try {
      answer = await fetch("v1/overview");
    } catch {
      later();
      return;
    }
    if (answer.status === 401) { askToken(); return; }
    if (!answer.ok) { later(); return; }
    show(await answer.json());
  }

  function show(all) {
    $("login").hidden = true;
    $("board").hidden = false;
    ({ bucket, total, hour, trends } = all);
    $("trouble").hidden = !all.trouble;
    $("trouble").textContent = all.trouble;
    charts.clear();
    for (const status of order(Object.keys(all.series)).slice(0, PANELS)) {
      charts.set(status, label(status), all.series[status]);
    }
    $("empty").hidden = Object.keys(all.series).length > 0;
    for (const item of incidents.values()) item.remove();
    incidents.clear();
    $("no-incidents").hidden = false;
    all.incidents.forEach(drawIncident);
    drawHour();
    drawOpen(all.open);
    listen(all.position);
  }

  function askToken() {
    $("board").hidden = true;
    $("login").hidden = false;
    say("not logged in", false);
    $("token").focus();
  }

  $("login-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch("v1/login", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: $("token").value }),
    });
    $("token").value = "";
    const wrong = answer.status === 429 ? "Too many wrong tokens; wait a minute." : "This is not the token.";
    $("login-error").textContent = answer.ok ? "" : wrong;
    if (answer.ok) { $("logout").hidden = false; begin(); }
  });

  $("logout").addEventListener("click", async () => {
    await fetch("v1/logout", { method: "POST" });
    if (source) source.close();
    $("logout").hidden = true;
    askToken();
  });

  function theme(dark) {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    $("theme").setAttribute("aria-pressed", String(dark));
    charts.rebuild();
  }

  const chosen = localStorage.getItem("txmon-theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", () => { if (!localStorage.getItem("txmon-theme")) theme(system.matches); });
  $("theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme !== "dark";
    localStorage.setItem("txmon-theme", dark ? "dark" : "light");
    theme(dark);
  });
  for (const button of document.querySelectorAll(".span")) {
    button.addEventListener("click", () => {
      for (const other of document.querySelectorAll(".span")) other.setAttribute("aria-pressed", String(other === button));
      charts.show(Number(button.dataset.minutes));
    });
  }
  charts.begin($("panels"));
  theme(chosen ? chosen === "dark" : system.matches);
  begin();
})();
