// Reads the regions with `data-refresh` again every 30 seconds through htmx,
// and puts the search field under the `/` key. Pages work without.
(() => {
  const regions = document.querySelectorAll("[data-refresh]");
  const refresh = () => {
    if (document.hidden || !window.htmx) return;
    const here = location.pathname + location.search;
    for (const region of regions) {
      const now = document.getElementById(region.id);
      // Nobody loses what they are typing or reading with the keyboard.
      if (!now || now.contains(document.activeElement)) continue;
      htmx.ajax("GET", here, { target: "#" + region.id, select: "#" + region.id, swap: "outerHTML" });
    }
  };
  if (regions.length) setInterval(refresh, 30000);

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const field = document.querySelector("[data-shortcut='/']");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  });
})();
