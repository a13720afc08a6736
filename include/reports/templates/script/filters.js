// --- which metrics are shown: search, group, label, only deviating ------------------------------------------------------
let shown = Array.from({ length: total }, (_, row) => row);
const haystack = shown.map((row) => `${titleOf(row)} ${columns.groups[row].join(" ")} ${sayLabel(row)}`.toLowerCase());
const legend = [...byId("legend").querySelectorAll("button")];
const isTable = () => byId("as-table").checked;
for (const group of new Set(columns.groups ? columns.groups.flat() : [])) byId("group").append(new Option(group, group));

function filter() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean), group = byId("group").value, only = byId("only").checked;
  const labels = new Set(legend.filter((button) => button.ariaPressed === "true").map((button) => button.dataset.label));
  shown = [];
  for (let row = 0; row < total; row++) {
    const fits = (!only || isDeviating(row)) && (!labels.size || labels.has(columns.label[row])) && (!group || columns.groups[row].includes(group)) && words.every((word) => haystack[row].includes(word));
    if (cells[row].hidden === fits) cells[row].hidden = !fits;
    if (fits) shown.push(row);
  }
  byId("status").textContent = shown.length === total ? `${total} metrics` : `${shown.length} of ${total} metrics shown`;
  byId("hint").hidden = isTable();
  byId("empty").hidden = shown.length > 0;
  byId("grid").hidden = isTable() || !shown.length;
  byId("list").hidden = !isTable() || !shown.length;
  keepFocusable();
  if (isTable()) fillTable();
}
function showAll() {
  byId("search").value = byId("group").value = "";
  byId("only").checked = false;
  for (const button of legend) button.ariaPressed = "false";
  filter();
}
