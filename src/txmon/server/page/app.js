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
  let last = null; // start of the newest closed bucket, ms
  let ahead = 0; // the server's clock less this one, ms
  let connected = "connecting";
  let everything = {}; // points by status, also of those that are not drawn
  let all = false;
  let sought = "";
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

  function say(text) {
    connected = text;
    fresh();
  }

  // Green means: connected, heard within seconds, and the newest minute is of now
  function fresh() {
    const quiet = feed.dead();
    const age = last === null ? 0 : Math.max(0, Date.now() + ahead - last - bucket * 1e3);
    const old = age > Math.max(120e3, 2 * bucket * 1e3);
    const text = quiet ? `no answer for ${span(feed.silent())}` : connected;
    if ($("state").textContent !== text) $("state").textContent = text;
    $("state").dataset.live = connected === "live" && !quiet ? (old ? "stale" : "yes") : "no";
    const words = last === null ? "" : `last minute ${new Date(last).toISOString().slice(11, 16)} UTC${old ? `, ${span(age)} ago` : ""}`;
    if ($("fresh").textContent !== words) $("fresh").textContent = words;
    $("fresh").className = old ? "old" : "";
  }

  function span(ms) {
    const seconds = Math.round(ms / 1e3);
    if (seconds < 120) return `${seconds} s`;
    if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
    return seconds < 172800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} days`;
  }

  function trouble(text) {
    $("trouble").hidden = !text;
    $("trouble").textContent = text;
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
    const details = (row.details || []).slice(0, 8);
    if (details.length > 1) {
      const list = element("ul", undefined, "details");
      for (const one of details) {
        const score = `${one.score > 0 ? "+" : ""}${one.score.toFixed(1)} sigma`;
        list.append(element("li", `${label(one.status)}: ${one.count} seen, ${one.expected} expected, ${score}`));
      }
      item.append(list);
    }
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
      else throw new Error((await answer.json()).detail);
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

  // What alerts comes first, then what is strangest in the last ten minutes; the order changes only where that does
  function strangest(status) {
    const points = (everything[status] || []).slice(-10);
    const mark = points.length ? points[points.length - 1][6] : 0;
    const score = Math.max(0, ...points.map((point) => Math.abs(point[5])));
    return [mark, FIRST.includes(status) ? Math.max(score, 3) : score];
  }

  function wanted() {
    const names = order(Object.keys(everything)).filter((status) => label(status).includes(sought));
    const worth = new Map(names.map((status) => [status, strangest(status)]));
    const alerting = names.filter((status) => worth.get(status)[0] === 2);
    const others = names.filter((status) => worth.get(status)[0] !== 2);
    if (names.length <= PANELS && !alerting.length) return names;
    alerting.sort((a, b) => worth.get(b)[1] - worth.get(a)[1]);
    if (names.length > PANELS) others.sort((a, b) => worth.get(b)[1] - worth.get(a)[1]);
    const found = [...alerting, ...others];
    $("show-all").hidden = found.length <= PANELS;
    return all ? found : found.slice(0, Math.max(PANELS, alerting.length));
  }

  function arrange() {
    const names = wanted();
    $("show-all").hidden = Object.keys(everything).filter((status) => label(status).includes(sought)).length <= PANELS;
    charts.keep(names);
    for (const status of names) if (!charts.has(status)) charts.set(status, label(status), everything[status]);
    charts.order(names);
  }

  function addPoints(series) {
    const most = Math.floor(86400 / bucket);
    for (const status of order(Object.keys(series))) {
      const point = series[status];
      const points = everything[status] || (everything[status] = []);
      let i = points.length;
      while (i > 0 && points[i - 1][0] > point[0]) i--;
      if (i > 0 && points[i - 1][0] === point[0]) points[i - 1] = point; // a correction
      else points.splice(i, 0, point);
      if (points.length > most) points.splice(0, points.length - most);
      last = Math.max(last || 0, point[0] * 1e3);
      charts.touch(status);
    }
    $("empty").hidden = true;
    arrange();
    fresh();
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
    trouble: (row) => trouble(row.trouble),
    reset: () => begin(),
    state: say,
    lost: (seconds) => { say(`reconnecting in ${seconds} s`); setTimeout(begin, seconds * 1e3); },
  };

  function later() {
    retry = Math.min(30, retry * 2 + 1);
    say(`reconnecting in ${retry} s`);
    setTimeout(begin, retry * 1000);
  }

  let asking = false;
  async function begin() {
    if (asking) return;
    asking = true;
    let answer;
    try {
      answer = await fetch("v1/overview", { signal: AbortSignal.timeout(10e3) });
      if (answer.ok) show(await answer.json());
    } catch {
      asking = false;
      later();
      return;
    }
    asking = false;
    if (answer.status === 401) { feed.stop(); askToken(); return; }
    if (!answer.ok) later();
  }

  function show(found) {
    retry = 0;
    $("login").hidden = true;
    $("board").hidden = false;
    ({ bucket, total, hour, trends } = found);
    ahead = Date.parse(found.now) - Date.now();
    last = found.last ? Date.parse(found.last) : null;
    trouble(found.trouble);
    everything = found.series;
    charts.clear();
    arrange();
    $("empty").hidden = Object.keys(found.series).length > 0;
    for (const item of incidents.values()) item.remove();
    incidents.clear();
    $("no-incidents").hidden = false;
    found.incidents.forEach(drawIncident);
    drawHour();
    drawOpen(found.open);
    feed.begin(found.position, handlers);
    fresh();
  }

  // A timer, since a server that is frozen sends no error
  setInterval(() => {
    fresh();
    if (feed.dead() && !asking && !$("board").hidden) { feed.stop(); begin(); }
  }, 1000);

  function askToken() {
    $("board").hidden = true;
    $("login").hidden = false;
    say("not logged in");
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
    feed.stop();
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
  $("search").addEventListener("input", () => { sought = $("search").value.trim().toLowerCase(); arrange(); });
  $("show-all").addEventListener("click", () => {
    all = !all;
    $("show-all").setAttribute("aria-pressed", String(all));
    $("show-all").textContent = all ? `Show ${PANELS}` : "Show all";
    arrange();
  });
  charts.begin($("panels"));
  theme(chosen ? chosen === "dark" : system.matches);
  begin();
})();
