// --- the grid: one stop for Tab, arrows within, a name beside the pointer ------------------------------------------------
const cells = [...byId("grid").children], rowOfCell = new Map(cells.map((cell, row) => [cell, row]));
let focused = 0;
for (const cell of cells) {
  cell.ariaLabel = cell.title; // the browser's own hint is slow; ours follows the pointer
  cell.removeAttribute("title");
}
const cellOf = (event) => rowOfCell.get(event.target.closest("#grid > button")) ?? -1;
function makeFocusable(row) {
  cells[focused].tabIndex = -1;
  focused = row;
  cells[focused].tabIndex = 0;
}
function keepFocusable() {
  if (shown.length && cells[focused].hidden) makeFocusable(shown[0]);
}
function markChosen(row) {
  if (chosen >= 0) cells[chosen].removeAttribute("aria-current");
  cells[row].setAttribute("aria-current", "true");
  makeFocusable(row);
  markLine(row);
}
const perLine = () => getComputedStyle(byId("grid")).gridTemplateColumns.split(" ").length;
function move(event) {
  const across = perLine(), steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across, Home: -Infinity, End: Infinity };
  if (!(event.key in steps)) return;
  event.preventDefault();
  const at = shown.indexOf(focused) + steps[event.key];
  if (Number.isFinite(at) && (at < 0 || at >= shown.length)) return;
  makeFocusable(shown[Math.max(0, Math.min(shown.length - 1, at))]);
  cells[focused].focus();
}
function showTip(row) {
  const tip = byId("tip"), share = isDeviating(row) ? ` ${columns.share[row]}` : "";
  tip.replaceChildren(element("b", titleOf(row)), `${sayLabel(row).toLowerCase()}${share}${has(row, CRITICAL) ? ", critical" : ""}`);
  tip.hidden = false;
  const cell = cells[row].getBoundingClientRect(), own = tip.getBoundingClientRect();
  const above = cell.top - own.height - 7;
  tip.style.left = `${Math.max(8, Math.min(innerWidth - own.width - 8, cell.left + cell.width / 2 - own.width / 2))}px`;
  tip.style.top = `${above > 4 ? above : cell.bottom + 7}px`;
}
const hideTip = () => { byId("tip").hidden = true; };
