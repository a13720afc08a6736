// --- both sides' distributions: a histogram or the cumulative share, and quantiles ------------------------------------
const FRAME = { left: 8, right: 8, top: 14, bottom: 22, height: 150 };
const QUANTILES = [["5 %", 0.05], ["25 %", 0.25], ["median", 0.5], ["75 %", 0.75], ["95 %", 0.95], ["most", 1]];
const sorted = (line) => line.filter((value) => value !== null).sort((a, b) => a - b);
function quantile(values, level) {
  if (!values.length) return null;
  const at = (values.length - 1) * level, below = Math.floor(at);
  return values[below] + (values[Math.min(below + 1, values.length - 1)] - values[below]) * (at - below);
}
// Where most of both sides lie: a few points far out must not press the rest into one bar.
function frameOf(sides) {
  const all = [...sides[0], ...sides[1]].sort((a, b) => a - b), least = all[0], most = all[all.length - 1];
  const isLog = least > 0 && most / quantile(all, 0.5) > 12 && most / least > 30;
  const isWhole = !isLog && all.every((value) => Math.abs(value - Math.round(value)) < 1e-6) && most - least <= 40;
  if (isWhole) return { isLog, isWhole, low: Math.round(least) - 0.5, high: Math.round(most) + 0.5, bins: Math.round(most - least) + 1 };
  const to = (value) => (isLog ? Math.log10(value) : value), low = to(least), high = to(most);
  const spread = Math.abs(to(quantile(all, 0.75)) - to(quantile(all, 0.25))), wide = (2 * spread) / Math.cbrt(all.length / 2);
  const bins = wide > 0 ? Math.max(10, Math.min(44, Math.ceil((high - low) / wide))) : 20;
  const room = high > low ? 0 : Math.abs(low) * 0.1 || 1;
  return { isLog, isWhole, low: low - room, high: high + room, bins };
}
function countBins(values, frame) {
  const counts = new Array(frame.bins).fill(0);
  for (const value of values) {
    const at = ((frame.isLog ? Math.log10(value) : value) - frame.low) / (frame.high - frame.low);
    counts[Math.max(0, Math.min(frame.bins - 1, Math.floor(at * frame.bins)))] += 1 / values.length;
  }
  return counts;
}
function logMarks(frame) {
  const all = [];
  for (let power = Math.floor(frame.low); power <= frame.high; power++) for (const times of [1, 2, 5]) all.push(times * 10 ** power);
  const inside = all.filter((value) => Math.log10(value) >= frame.low && Math.log10(value) <= frame.high);
  return inside.length > 7 ? inside.filter((value) => Math.abs(Math.log10(value) % 1) < 1e-9) : inside;
}
function drawShape(row, sides) {
  const box = byId("shape"), unit = columns.unit[row], isSteps = document.querySelector("input[name=shape]:checked").value === "steps";
  box.replaceChildren();
  if (!sides[0].length && !sides[1].length) { box.textContent = "No points to draw."; return; }
  const frame = frameOf(sides), words = `${isSteps ? "Cumulative share" : "Histogram"} of baseline and canary: medians ${say(quantile(sides[0], 0.5), unit)} and ${say(quantile(sides[1], 0.5), unit)}`;
  const { width, svg } = sheet(box, FRAME.height, words), foot = FRAME.height - FRAME.bottom;
  const place = (at) => FRAME.left + (width - FRAME.left - FRAME.right) * at;
  const x = (value) => place(((frame.isLog ? Math.log10(value) : value) - frame.low) / (frame.high - frame.low));
  const linear = marksOf(frame.low, frame.high, Math.max(3, Math.floor(width / 85)));
  const marks = frame.isLog ? logMarks(frame) : frame.isWhole ? linear.values.filter((value) => Number.isInteger(value)) : linear.values;
  for (const mark of marks) {
    draw(svg, "line", { class: "rule", x1: x(mark), x2: x(mark), y1: FRAME.top, y2: foot });
    const at = x(mark), anchor = at < 24 ? "start" : at > width - 24 ? "end" : "middle";
    draw(svg, "text", { x: at, y: FRAME.height - 7, "text-anchor": anchor }, frame.isLog ? say(mark, unit) : sayMark(mark, linear.step, unit));
  }
  draw(svg, "line", { class: "rule", x1: 0, x2: width, y1: foot, y2: foot });
  (isSteps ? drawSteps : drawBins)(svg, sides, frame, { place, x, foot });
  for (const which of [0, 1]) {
    const middle = quantile(sides[which], 0.5);
    if (middle !== null) draw(svg, "line", { class: which ? "mid new" : "mid", x1: x(middle), x2: x(middle), y1: 2, y2: foot });
  }
  if (frame.isLog) draw(svg, "text", { x: width, y: 9, "text-anchor": "end" }, "logarithmic");
}
function drawBins(svg, sides, frame, { place, foot }) {
  const shares = sides.map((values) => countBins(values, frame)), most = Math.max(...shares.flat());
  // Where one bar holds nearly all (errors: mostly 0), the rest would be too low to see.
  const scale = most > 0.8 && shares.flat().filter(Boolean).length > 2 ? Math.sqrt : Number, top = scale(most);
  if (scale === Math.sqrt) draw(svg, "text", { x: place(1), y: 9, "text-anchor": "end" }, "height: square root of the share");
  for (const [which, counts] of shares.entries()) {
    if (!sides[which].length) continue;
    const y = (share) => (foot - ((foot - FRAME.top) * scale(share)) / top).toFixed(1);
    // Empty bins are left out, not drawn along the foot.
    const bars = counts.map((share, bin) => {
      if (!share) return "";
      const from = place(bin / frame.bins).toFixed(1), to = place((bin + 1) / frame.bins).toFixed(1);
      return `${counts[bin - 1] ? "" : `M${from} ${foot}`}V${y(share)}H${to}${counts[bin + 1] ? "" : `V${foot}`}`;
    });
    draw(svg, "path", { class: which ? "c" : "b", d: bars.join("") });
  }
}
function drawSteps(svg, sides, frame, { x, place, foot }) {
  const group = draw(svg, "g", { class: "steps" });
  for (const [which, values] of sides.entries()) {
    if (!values.length) continue;
    const y = (count) => (foot - ((foot - FRAME.top) * count) / values.length).toFixed(1);
    const path = values.map((value, k) => `H${x(value).toFixed(1)}V${y(k + 1)}`).join("");
    draw(group, "path", { class: which ? "c" : "b", d: `M${place(0)} ${foot}${path}H${place(1)}` });
  }
}
function listQuantiles(row, sides) {
  const head = document.createElement("tr"), unit = columns.unit[row];
  head.append(element("td", ""), ...QUANTILES.map(([name]) => Object.assign(element("th", name), { scope: "col" })));
  const lines = ["baseline", "canary"].map((name, which) => {
    const line = document.createElement("tr"), first = Object.assign(element("th", ""), { scope: "row" });
    first.append(element("i", "", name), name);
    line.append(first, ...QUANTILES.map(([, level]) => element("td", say(quantile(sides[which], level), unit))));
    return line;
  });
  const top = document.createElement("thead"), body = document.createElement("tbody");
  top.append(head);
  body.append(...lines);
  byId("quantiles").replaceChildren(element("caption", "Quantiles of both sides", "off"), top, body);
}
