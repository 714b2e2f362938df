// One box that ticks every row of its table, and a count of what is ticked.
// Without scripts the bar below the table has "all that match".
(() => {
  const rows = (all) => [...document.querySelectorAll(`input[name="${all.dataset.ticks}"]`)];
  const show = (all) => {
    const ticked = rows(all).filter((it) => it.checked).length;
    all.checked = ticked > 0 && ticked === rows(all).length;
    all.indeterminate = ticked > 0 && !all.checked;
    const count = document.querySelector(`[data-count="${all.dataset.ticks}"]`);
    if (count) count.textContent = ticked === 0 ? "" : `${ticked.toLocaleString("en")} ticked`;
  };

  // The table is read again now and then, so nothing is bound to its elements.
  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-ticks]");
    if (all) for (const row of rows(all)) row.checked = all.checked;
    for (const it of document.querySelectorAll("[data-ticks]")) {
      if (it === all || it.dataset.ticks === event.target.name) show(it);
    }
  });
  for (const all of document.querySelectorAll("[data-ticks]")) show(all);
})();
