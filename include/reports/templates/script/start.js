// --- who listens to what, and what the page opens on -----------------------------------------------------------------------
const isDark = matchMedia("(prefers-color-scheme: dark)");
byId("grid").addEventListener("keydown", move);
byId("grid").addEventListener("click", (event) => {
  const row = cellOf(event);
  if (row < 0) return;
  hideTip();
  choose(row, { focus: event.detail === 0 && !isWide.matches }); // detail 0: by the keyboard
});
for (const kind of ["pointerover", "focusin"])
  byId("grid").addEventListener(kind, (event) => {
    const row = cellOf(event), isSeen = kind === "pointerover" ? event.pointerType === "mouse" : event.target.matches(":focus-visible");
    if (row >= 0 && isSeen) showTip(row); else hideTip();
  });
for (const kind of ["pointerleave", "focusout"]) byId("grid").addEventListener(kind, hideTip);
addEventListener("scroll", hideTip, { passive: true });
byId("rows").addEventListener("click", (event) => {
  const line = event.target.closest("tr");
  if (line) choose(Number(line.dataset.row), { focus: event.detail === 0 && !isWide.matches });
});
byId("search").addEventListener("input", filter);
for (const control of [byId("group"), byId("only"), ...document.querySelectorAll("input[name=view]")]) control.addEventListener("change", filter);
for (const button of legend) button.addEventListener("click", () => { button.ariaPressed = String(button.ariaPressed !== "true"); filter(); });
for (const radio of document.querySelectorAll("input[name=shape]")) radio.addEventListener("change", () => redraw());
byId("reset").addEventListener("click", () => { showAll(); byId("search").focus(); });
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("close").addEventListener("click", shut);
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && event.target.type !== "search") { hideTip(); if (!isWide.matches) shut(); } });
addEventListener("hashchange", () => { const row = rowOfAddress(location.hash); if (row >= 0 && row !== chosen) choose(row, { keepAddress: true }); });
isDark.addEventListener("change", () => redraw());
let width = 0;
new ResizeObserver(([entry]) => {
  const now = Math.round(entry.contentRect.width);
  if (width && now && now !== width) redraw();
  width = now;
}).observe(byId("detail-body"));

// The metric in the address; else, where there is room beside the grid, the first that deviates and counts.
const asked = location.hash.length > 1 ? rowOfAddress(location.hash) : -1;
const worst = shown.find((row) => isDeviating(row) && !has(row, MUTED)) ?? (total ? 0 : -1);
if (asked >= 0) choose(asked, { keepAddress: true });
else if (isWide.matches && worst >= 0) choose(worst, { keepAddress: true });
if (byId("search").value || byId("group").value || byId("only").checked || isTable()) filter(); // a reloaded page keeps its controls
