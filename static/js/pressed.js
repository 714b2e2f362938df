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
