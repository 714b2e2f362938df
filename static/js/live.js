// Refreshes the regions with `data-refresh` every 30 seconds and says if that
// fails, shows that a button was pressed, focuses the search field with the `/`
// key, and copies what has a copy button. Pages work without it.
(() => {
  const regions = document.querySelectorAll("[data-refresh]");
  // Nobody loses what they are typing, ticked, unfolded or are reading with the keyboard.
  const isInUse = (region) =>
    region.contains(document.activeElement) ||
    [...region.querySelectorAll("input, textarea, details")].some(
      (it) => it.open || it.checked !== it.defaultChecked || it.value !== it.defaultValue,
    );
  const zone = document.body.dataset.zone;
  const clock = (at) => at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone });
  let updated = new Date();
  // A page that shows old facts says so: a server that is away, or a session that has ended.
  const stale = document.getElementById("stale");
  const say = (why) => {
    if (!stale) return;
    stale.hidden = !why;
    stale.lastElementChild.textContent = why ? `Not updated since ${clock(updated)}. ${why}` : "";
  };
  const reach = async (here) => {
    try {
      const answer = await fetch(here, { headers: { "X-Refresh": "1" }, signal: AbortSignal.timeout(10000) });
      if (answer.ok && !answer.redirected) return { page: await answer.text() };
      if (answer.status === 401 || answer.redirected) return { why: "Your session has ended: sign in again." };
      return { why: `The server answered ${answer.status}.` };
    } catch {
      return { why: "The server does not answer." };
    }
  };
  const refresh = async () => {
    if (document.hidden) return;
    const { page, why } = await reach(location.pathname + location.search);
    say(why);
    if (!page) return;
    updated = new Date();
    const fresh = new DOMParser().parseFromString(page, "text/html");
    for (const region of regions) {
      const [now, next] = [document.getElementById(region.id), fresh.getElementById(region.id)];
      if (!now || !next || isInUse(now)) continue;
      now.replaceWith(document.adoptNode(next));
    }
    document.dispatchEvent(new Event("refreshed"));
  };
  if (regions.length) setInterval(refresh, 30000);

  // A pressed button shows that it was pressed, and what it is waiting for.
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    const name = button?.querySelector("span") ?? button?.lastChild;
    if (!name || event.target.method !== "post") return;
    const before = name.textContent;
    button.setAttribute("aria-busy", "true");
    name.textContent = " Sending…";
    const after = (text) => {
      button.removeAttribute("aria-busy");
      name.textContent = text;
    };
    setTimeout(() => after(" No answer yet. Try again?"), 15000);
    // Coming back to this page from the next one shows it as it was.
    addEventListener("pageshow", () => after(before), { once: true });
  });

  // In a narrow window the navigation is a scrolling row: the current place may be out of sight.
  document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  document.documentElement.classList.add("js");
  const copy = async (source) => {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      return true;
    } catch {
      // Without TLS a script can copy only what is selected.
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
    const said = (await copy(source)) ? "Copied" : "Selected: copy it with the keyboard";
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
