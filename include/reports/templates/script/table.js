// --- the table: every metric, sorted by any column -----------------------------------------------------------------------
const HEADS = [
  ["Metric", (row) => titleOf(row)], ["Label", (row) => columns.label[row]], ["Group", (row) => columns.groups[row].join(", ")],
  ["Effect", (row) => columns.effect[row], (row) => columns.share[row]], ["Baseline", (row) => columns.baseline[row], (row) => columns.old[row]],
  ["Canary", (row) => columns.canary[row], (row) => columns.new[row]], ["Difference", (row) => columns.estimate[row], (row) => say(columns.estimate[row], columns.unit[row])],
  ["Superiority", (row) => columns.superiority[row], (row) => sayPercent(columns.superiority[row])], ["Chance", (row) => columns.chance[row], (row) => sayChance(columns.chance[row])],
  ["Test", (row) => columns.test[row]], ["Points", (row) => columns.points[row], (row) => columns.points[row]], ["Worth", (row) => columns.effective[row], (row) => columns.effective[row] ?? "–"],
  ["Weight", (row) => columns.weight[row], (row) => `${columns.weight[row]}\u00a0%`],
];
const compareText = new Intl.Collator("en", { numeric: true }).compare;
let sortBy = -1, isUp = true, lines = new Map();

function inOrder() {
  if (sortBy < 0) return shown;
  const key = HEADS[sortBy][1], sign = isUp ? 1 : -1;
  return shown.slice().sort((a, b) => {
    const p = key(a), q = key(b);
    if (p === null || q === null) return (p === null) - (q === null) || a - b; // what is unknown stays last
    return sign * (typeof p === "string" ? compareText(p, q) : p - q) || a - b;
  });
}
const visible = () => (isTable() ? inOrder() : shown);

function lineFor(row) {
  const line = document.createElement("tr"), first = element("td", ""), opener = Object.assign(element("button", columns.name[row]), { type: "button", dir: "auto" });
  if (columns.tags[row]) opener.append(element("small", ` {${columns.tags[row]}}`));
  first.append(opener);
  const label = element("td", ""), swatch = element("span", cells[row].textContent, `swatch ${cells[row].className}`);
  swatch.ariaHidden = "true";
  label.append(swatch, sayLabel(row).toLowerCase());
  line.append(first, label, ...HEADS.slice(2).map(([, key, words]) => (words ? element("td", words(row), "n") : element("td", key(row)))));
  line.dataset.row = row;
  if (row === chosen) line.setAttribute("aria-current", "true");
  return line;
}
function fillTable() {
  lines = new Map(inOrder().map((row) => [row, lines.get(row) ?? lineFor(row)]));
  byId("rows").replaceChildren(...lines.values());
}
function markLine(row) {
  lines.get(chosen)?.removeAttribute("aria-current");
  lines.get(row)?.setAttribute("aria-current", "true");
}
function sortTable(place) {
  [isUp, sortBy] = [sortBy === place ? !isUp : !HEADS[place][2], place];
  for (const [index, head] of [...byId("heads").children].entries()) {
    if (index === place) head.ariaSort = isUp ? "ascending" : "descending";
    else head.removeAttribute("aria-sort");
  }
  fillTable();
}
byId("heads").append(...HEADS.map(([name, , isNumber], place) => {
  const head = Object.assign(element("th", "", isNumber ? "n" : ""), { scope: "col" }), button = Object.assign(element("button", name), { type: "button" });
  button.addEventListener("click", () => sortTable(place));
  head.append(button);
  return head;
}));
function focusCurrent() {
  const target = isTable() ? lines.get(chosen)?.querySelector("button") : cells[focused];
  target?.focus({ preventScroll: true });
}
