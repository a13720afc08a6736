// --- small drawings in SVG -------------------------------------------------------------------------------------------
const NS = "http://www.w3.org/2000/svg";
function draw(parent, tag, attributes, text) {
  const node = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}
function sheet(box, height, label) {
  const width = Math.max(260, Math.round(box.clientWidth || 420));
  box.replaceChildren();
  return { width, height, svg: draw(box, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }) };
}
// Round values from low to high, about `wanted` of them.
function marksOf(low, high, wanted) {
  const rough = (high - low) / wanted, ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * ten).find((one) => one >= rough * 0.999) || rough;
  const first = Math.ceil(low / step - 1e-6), count = Math.floor(high / step + 1e-6) - first + 1;
  return { step, values: Array.from({ length: Math.max(0, Math.min(count, 40)) }, (_, k) => (first + k) * step) };
}
// The estimate of the difference and its interval, beside zero.
function drawStrip(row) {
  const box = byId("strip"), low = columns.low[row], high = columns.high[row], estimate = columns.estimate[row];
  box.replaceChildren();
  if (low === null || high === null || estimate === null || Math.abs(low) >= 1e308 || Math.abs(high) >= 1e308) return;
  const unit = columns.unit[row], each = columns.kind[row] === "count" ? " per point" : "";
  const words = `Difference ${say(estimate, unit)} · interval ${say(low, unit)} to ${say(high, unit)}${each}`;
  const { width, svg } = sheet(box, 52, words), from = Math.min(0, low, estimate), to = Math.max(0, high, estimate), room = (to - from) * 0.12 || 1;
  const x = (value) => 12 + ((width - 24) * (value - from + room)) / (to - from + 2 * room);
  draw(svg, "text", { x: 0, y: 11 }, words);
  draw(svg, "line", { class: "rule", x1: 0, x2: width, y1: 28, y2: 28 });
  draw(svg, "line", { class: "zero", x1: x(0), x2: x(0), y1: 19, y2: 37 });
  draw(svg, "line", { class: "span", x1: x(low), x2: x(high), y1: 28, y2: 28 });
  draw(svg, "circle", { class: "dot", cx: x(estimate), cy: 28, r: 5 });
  draw(svg, "text", { x: x(0), y: 50, "text-anchor": x(0) < 30 ? "start" : x(0) > width - 30 ? "end" : "middle" }, "no difference");
}
