// A box in the head of a list ticks all rows of the page, and the bar below says
// how many are ticked. Without scripts there is no such box.
(() => {
  const boxes = (head) => [...head.closest("table").querySelectorAll(`tbody input[name="${head.dataset.tickAll}"]`)];
  const show = (head) => {
    const [all, rows] = [head.querySelector("input"), boxes(head)];
    const ticked = rows.filter((it) => it.checked).length;
    all.checked = rows.length > 0 && ticked === rows.length;
    all.indeterminate = ticked > 0 && ticked < rows.length;
    const count = rows[0]?.form?.querySelector("[data-ticked]");
    if (count) count.textContent = ticked > 0 ? ` (${ticked})` : "";
  };
  const enhance = (head) => {
    if (head.querySelector("input")) return;
    const label = document.createElement("label");
    const [box, name] = [document.createElement("input"), document.createElement("span")];
    label.className = "ck";
    box.type = "checkbox";
    // A page that comes back from the browser's memory keeps its ticks; this box follows them.
    box.autocomplete = "off";
    name.className = "vh";
    name.textContent = "Tick all on this page";
    label.title = name.textContent;
    label.append(box, name);
    head.replaceChildren(label);
    box.addEventListener("change", () => {
      for (const it of boxes(head)) it.checked = box.checked;
      show(head);
    });
    head.closest("table").addEventListener("change", () => show(head));
    show(head);
  };
  const all = () => document.querySelectorAll("[data-tick-all]").forEach(enhance);
  all();
  document.addEventListener("refreshed", all);
  addEventListener("pageshow", () => document.querySelectorAll("[data-tick-all]").forEach(show));
})();
