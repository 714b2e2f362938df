// Reads the regions with `data-refresh` again every 30 seconds through htmx,
// puts the search field under the `/` key, and copies what has a button for
// it. Pages work without.
(() => {
  const regions = document.querySelectorAll("[data-refresh]");
  // Nobody loses what they are typing, ticked, unfolded or are reading with the keyboard.
  const isInUse = (region) =>
    region.contains(document.activeElement) ||
    [...region.querySelectorAll("input, textarea, details")].some(
      (it) => it.open || it.checked !== it.defaultChecked || it.value !== it.defaultValue,
    );
  const refresh = () => {
    if (document.hidden || !window.htmx) return;
    const here = location.pathname + location.search;
    for (const region of regions) {
      const now = document.getElementById(region.id);
      if (!now || isInUse(now)) continue;
      htmx.ajax("GET", here, { target: "#" + region.id, select: "#" + region.id, swap: "outerHTML" });
    }
  };
  if (regions.length) setInterval(refresh, 30000);

  // In a narrow window the navigation is a row that scrolls: the place where one is may be out of sight.
  document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  document.documentElement.classList.add("js");
  const copy = async (source) => {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      return true;
    } catch {
      // Without TLS a script may copy only what is selected.
      getSelection().selectAllChildren(source);
      return document.execCommand("copy");
    }
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    const source = button && document.getElementById(button.dataset.copy);
    if (!source) return;
    const [name, status] = [button.querySelector("span"), button.nextElementSibling];
    button.dataset.name ??= name.textContent;
    const said = (await copy(source)) ? "Copied" : "Selected: copy it by the keyboard";
    name.textContent = status.textContent = said;
    clearTimeout(button.reset);
    button.reset = setTimeout(() => {
      name.textContent = button.dataset.name;
      status.textContent = "";
    }, 3000);
  });

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
