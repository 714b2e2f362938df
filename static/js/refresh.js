// Refreshes the regions with `data-refresh` every 30 seconds and says if that fails.
// Without scripts a page stays as it was.
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
})();
