// --- both series over time, by uPlot ---------------------------------------------------------------------------------
let plot = null;
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const times = Array.from({ length: points }, (_, k) => data.start + k * data.step);

// What lies in the middle of a window around each point, then its mean: restless series are told apart by it.
function running(line, reach, middle) {
  return line.map((value, k) => (value === null ? null : middle(line.slice(Math.max(0, k - reach), k + reach + 1).filter((one) => one !== null))));
}
const mean = (near) => near.reduce((a, b) => a + b) / near.length;
const median = (near) => quantile(near.sort((a, b) => a - b), 0.5);
// Of rare events the median is always nothing: there the mean alone.
const isRare = (lines) => lines.flat().filter((value) => value === 0).length > 0.3 * lines.flat().filter((value) => value !== null).length;
function smooth(line, isMean) {
  const reach = Math.max(3, Math.round(points / 40));
  return running(isMean ? line : running(line, reach, median), reach, mean);
}
// Points between two gaps would be lines of no length.
const isolated = (line) => line.flatMap((value, k) => (value !== null && line[k - 1] == null && line[k + 1] == null ? [k] : []));

function lineOf(name, style, line) {
  const dots = isolated(line);
  return { label: name, stroke: color(style.color), width: style.width, dash: style.dash, alpha: style.alpha,
    points: { show: dots.length > 0, filter: () => dots, size: 4, width: 0, fill: color(style.color) } };
}
function scaleOf(lines) {
  const seen = lines.flat().filter((value) => value !== null);
  let low = seen.reduce((a, b) => Math.min(a, b)), high = seen.reduce((a, b) => Math.max(a, b));
  if (low >= 0 && low < 0.5 * high) low = 0;
  if (high === low) { const room = Math.abs(high) * 0.1 || 1; low = high === 0 ? 0 : low - room; high += room; }
  return [low - (low === 0 ? 0 : (high - low) * 0.04), high + (high - low) * 0.05];
}
function axes(unit) {
  const common = { stroke: color("--soft"), font: "11px system-ui, sans-serif", grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
  const sayAll = (_, values) => values.map((value) => sayMark(value, Math.abs((values[1] ?? value + 1) - values[0]) || 1, unit));
  const longest = (_, values) => 16 + 6.4 * Math.max(4, ...(values || []).map((text) => text.length));
  return [{ ...common, space: 78, size: 30, gap: 8, values: (_, values) => values.map(clock) }, { ...common, space: 34, size: longest, values: sayAll }];
}
function readOut(row, lines, k) {
  const unit = columns.unit[row], box = byId("readout");
  if (k === null || k === undefined) { box.textContent = matchMedia("(pointer: coarse)").matches ? "Touch for values." : "Point for values; drag to zoom, double click to see all."; return; }
  box.replaceChildren(`${clock(times[k])}  baseline `, element("b", say(lines[0][k], unit)), "  canary ", element("b", say(lines[1][k], unit)));
}
function drawOverTime(row, lines) {
  const box = byId("chart");
  if (plot) plot.destroy();
  plot = null;
  box.replaceChildren();
  const isEmpty = lines.flat().every((value) => value === null);
  byId("readout").textContent = "";
  if (isEmpty) { box.textContent = "No points to draw."; return; }
  readOut(row, lines, null);
  const isRestless = points > 120, dash = [7, 4];
  const raw = isRestless ? { width: 1, alpha: 0.5 } : { width: 2, alpha: 1 };
  const styles = [{ ...raw, color: "--baseline" }, { ...raw, color: "--canary", dash: isRestless ? [4, 2] : dash }];
  const drawn = [...lines], series = [{}, lineOf("baseline", styles[0], lines[0]), lineOf("canary", styles[1], lines[1])];
  if (isRestless) {
    const isMean = isRare(lines);
    for (const [which, style] of styles.entries()) {
      drawn.push(smooth(lines[which], isMean));
      series.push({ ...lineOf("median", { ...style, width: 2.6, alpha: 1, dash: which ? dash : undefined }, []), points: { show: false } });
    }
  }
  plot = new uPlot({
    width: Math.max(240, box.clientWidth), height: 200, padding: [8, 10, 0, 0], series,
    legend: { show: false }, axes: axes(columns.unit[row]),
    cursor: { points: { show: false }, drag: { x: true, y: false } },
    scales: { x: { time: true, range: (_, low, high) => (points === 1 ? [low - data.step, high + data.step] : [low, high]) }, y: { range: scaleOf(lines) } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    hooks: { setCursor: [(chart) => readOut(row, lines, chart.cursor.idx)] },
  }, [times, ...drawn], box);
  plot.root.setAttribute("role", "img");
  plot.root.setAttribute("aria-label", `Baseline and canary of ${titleOf(row)} over time`);
}
