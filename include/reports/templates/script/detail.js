// --- one metric ------------------------------------------------------------------------------------------------------
let chosen = -1, redraw = () => {};
const rowsByTitle = new Map(columns.name.map((_, row) => [titleOf(row), row]));
const addressOf = (row) => `#metric=${encodeURIComponent(titleOf(row))}`;
// The row that an address names: #m<row> or #metric=<name>, with its tags in braces if it has any; else -1.
function rowOfAddress(hash) {
  const number = /^#m(\d+)$/.exec(hash);
  if (number) return Number(number[1]) < total ? Number(number[1]) : -1;
  let name = hash.replace(/^#(metric=)?/, "");
  try { name = decodeURIComponent(name); } catch { /* not encoded: taken as it is */ }
  return rowsByTitle.get(name) ?? columns.name.indexOf(name);
}
function listMarks(row) {
  const label = element("b", sayLabel(row), CLASS[columns.label[row]] + (isDeviating(row) ? " s3" : ""));
  const marks = [label, ...columns.groups[row].map((group) => element("span", group))];
  if (has(row, CRITICAL)) marks.push(element("span", "critical"));
  if (has(row, MUTED)) marks.push(element("span", "muted: not scored"));
  if (has(row, STOPS)) marks.push(element("span", "alone a no-go", "warn"));
  else if (has(row, FAILS) && !isDeviating(row)) marks.push(element("span", "counts against the score", "warn"));
  byId("detail-marks").replaceChildren(...marks);
}
function listNumbers(row) {
  const each = columns.kind[row] === "count" ? " per point" : "", points = columns.points[row], worth = columns.effective[row];
  const facts = [
    [`Baseline${each}`, columns.old[row]], [`Canary${each}`, columns.new[row]], ["Effect", columns.share[row]],
    ["A canary point is above a baseline one", sayPercent(columns.superiority[row])],
    ["Chance of it among equals", sayChance(columns.chance[row])], ["Test", columns.test[row]],
    ["Points", String(points)], ["Worth (independent points)", points ? String(worth) : "–"], ["Weight", `${columns.weight[row]}\u00a0%`],
  ];
  byId("numbers").replaceChildren(...facts.map(([key, value]) => {
    const pair = element("div", "");
    pair.append(element("dt", key), element("dd", value));
    return pair;
  }));
}
function listNotes(row, lines) {
  const infinite = data.infinite[row], notes = [];
  if (infinite) notes.push(`Not drawn: infinite points, ${infinite[0]} of the baseline and ${infinite[1]} of the canary.`);
  if (points > 120) notes.push(`Thick lines: running ${isRare(lines) ? "means" : "medians"}.`);
  byId("detail-note").textContent = notes.join(" ");
}
async function drawAll(row) {
  let bytes;
  try { bytes = await unpacked; } catch { byId("chart").textContent = "This browser cannot unpack the series."; return; }
  if (chosen !== row) return;
  const lines = [side(bytes, row, 0), side(bytes, row, 1)], sides = lines.map(sorted);
  redraw = () => { drawOverTime(row, lines); drawShape(row, sides); drawStrip(row); };
  listQuantiles(row, sides);
  listNotes(row, lines);
  redraw();
  document.body.dataset.drawn = String(row);
}
function choose(row, { focus = false, keepAddress = false } = {}) {
  markChosen(row);
  chosen = row;
  if (!keepAddress) history.replaceState(null, "", addressOf(row));
  byId("detail").classList.add("open");
  byId("detail").scrollTop = 0;
  byId("detail-name").replaceChildren(Object.assign(element("a", columns.name[row]), { href: addressOf(row), title: "Address of this metric" }));
  byId("detail-tags").textContent = columns.tags[row];
  byId("detail-tags").hidden = !columns.tags[row];
  const reason = reasons[row];
  byId("detail-reason").textContent = reason.charAt(0).toUpperCase() + reason.slice(1) + (/[.!?]$/.test(reason) ? "" : ".");
  byId("detail-body").hidden = false;
  byId("said").textContent = `${titleOf(row)}: ${sayLabel(row).toLowerCase()}. ${byId("detail-reason").textContent}`;
  listMarks(row);
  listNumbers(row);
  if (!isWide.matches) cells[row].scrollIntoView({ block: "nearest" });
  if (focus) byId("detail").focus({ preventScroll: true });
  drawAll(row);
}
function step(by) {
  const order = visible(), at = order.indexOf(chosen);
  if (order.length) choose(order[(at + by + order.length) % order.length]);
}
function shut() {
  byId("detail").classList.remove("open");
  focusCurrent();
}
