// Draws every chart of the page from the data beside it: hover or arrow keys read values, the legend hides lines.
"use strict";
const NS = "http://www.w3.org/2000/svg";
const W = 960, H = 340, LEFT = 56, RIGHT = 12, TOP = 12, BOTTOM = 34;
const COLOURS = ["#8a9a5b", "#b08968", "#5f8fb0", "#a78bba", "#c08497", "#3f8f6b", "#937a3d"];

function make(parent, name, attributes, text) {
  const node = document.createElementNS(NS, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}

function html(parent, name, className, text) {
  const node = document.createElement(name);
  node.className = className;
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}

function niceStep(top) {
  const rough = top / 5, power = Math.pow(10, Math.floor(Math.log10(rough || 1)));
  for (const step of [1, 2, 5, 10]) if (step * power >= rough) return step * power;
  return 10 * power;
}

function path(points) {
  let text = "", pen = false;
  for (const point of points) {
    if (point === null) { pen = false; continue; }
    text += (pen ? "L" : "M") + point[0].toFixed(1) + " " + point[1].toFixed(1);
    pen = true;
  }
  return text;
}

function draw(figure, picture) {
  const count = picture.places.length, hidden = new Set();
  const svg = make(figure, "svg", { viewBox: `0 0 ${W} ${H}`, role: "img", tabindex: "0", "aria-label": picture.title });
  const legend = html(figure, "div", "legend");
  const tip = html(figure, "div", "tip");
  tip.setAttribute("aria-live", "polite");
  const x = n => LEFT + (W - LEFT - RIGHT) * (count === 1 ? 0.5 : (n + 0.5) / count);
  let at = -1;

  function top() {
    let most = 1;
    for (const line of picture.lines) if (!hidden.has(line.name)) for (const v of line.values) if (v > most) most = v;
    for (const v of picture.high) if (v > most) most = v;
    return most * 1.05;
  }

  function redraw() {
    svg.replaceChildren();
    const limit = top(), y = v => TOP + (H - TOP - BOTTOM) * (1 - v / limit), step = niceStep(limit);
    const half = (W - LEFT - RIGHT) / count / 2;
    for (const [first, last] of picture.spans)
      make(svg, "rect", { class: "span", x: x(first) - half, y: TOP, width: x(last) - x(first) + 2 * half,
                          height: H - TOP - BOTTOM });
    for (let v = 0; v <= limit; v += step) {
      make(svg, "line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: y(v), y2: y(v) });
      make(svg, "text", { class: "axis", x: LEFT - 6, y: y(v) + 4, "text-anchor": "end" }, v.toLocaleString("en"));
    }
    const every = Math.max(1, Math.ceil(count * picture.places[0].length / 120));
    for (let n = 0; n < count; n += every)
      make(svg, "text", { class: "axis", x: x(n), y: H - 12, "text-anchor": "middle" }, picture.places[n]);
    if (picture.high.length) {
      const above = picture.high.map((v, n) => [x(n), y(v)]), below = picture.low.map((v, n) => [x(n), y(v)]).reverse();
      make(svg, "path", { class: "band", d: path([...above, ...below]) + "Z" });
    }
    let other = 0;
    for (const line of picture.lines) {
      const colour = line.role === "other" ? COLOURS[other++ % COLOURS.length] : "";
      if (hidden.has(line.name)) continue;
      const shape = make(svg, "path", { class: "line " + line.role,
                                        d: path(line.values.map((v, n) => v === null ? null : [x(n), y(v)])) });
      if (colour) shape.style.stroke = colour;
    }
    if (at >= 0) make(svg, "line", { class: "cursor", x1: x(at), x2: x(at), y1: TOP, y2: H - BOTTOM });
  }

  function show(n) {
    at = Math.max(0, Math.min(count - 1, n));
    const parts = picture.lines.filter(line => !hidden.has(line.name) && line.values[at] !== null)
      .map(line => `${line.name} ${line.values[at].toLocaleString("en")}`);
    if (picture.high.length) parts.push(`normal ${picture.low[at]} to ${picture.high[at]}`);
    tip.textContent = `${picture.places[at]}: ${parts.join(" · ")}`;
    redraw();
  }

  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect();
    show(Math.floor(((event.clientX - box.left) / box.width * W - LEFT) / (W - LEFT - RIGHT) * count));
  });
  svg.addEventListener("keydown", event => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move) { show(at + move); event.preventDefault(); }
  });
  let other = 0;
  for (const line of picture.lines) {
    const button = html(legend, "button", "key " + line.role, line.name);
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    if (line.role === "other") button.style.borderColor = COLOURS[other++ % COLOURS.length];
    button.addEventListener("click", () => {
      if (hidden.has(line.name)) hidden.delete(line.name); else hidden.add(line.name);
      button.setAttribute("aria-pressed", String(!hidden.has(line.name)));
      redraw();
    });
  }
  redraw();
}

const pictures = JSON.parse(document.getElementById("pictures").textContent);
document.querySelectorAll("figure[data-picture]").forEach(figure => draw(figure, pictures[figure.dataset.picture]));
