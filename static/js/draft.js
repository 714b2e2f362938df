// What was typed into a form survives an expired session: it is kept in this tab,
// comes back once the form is shown again, and is never sent by itself. Passwords and hidden fields are not kept.
(() => {
  const KEY = "holdfast.draft";
  const fields = (form) =>
    [...form.elements].filter((it) => it.name && !["password", "hidden", "submit", "button", "file"].includes(it.type));
  const read = () => {
    try {
      return JSON.parse(sessionStorage.getItem(KEY));
    } catch {
      return null;
    }
  };
  const action = (form) => form.getAttribute("action") || location.pathname;

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.closest("[data-no-draft]")) return;
    const values = fields(form).map((it) => [it.name, it.value, it.checked === true]);
    if (values.length === 0) return;
    sessionStorage.setItem(KEY, JSON.stringify({ action: action(form), values, refused: false }));
  });

  const draft = read();
  if (!draft) return;
  if (document.querySelector("[data-session-ended]")) {
    sessionStorage.setItem(KEY, JSON.stringify({ ...draft, refused: true }));
    return;
  }
  if (document.querySelector("[data-no-draft]")) return;
  const form = [...document.forms].find((it) => it.method === "post" && action(it) === draft.action);
  // Any other answer to the form says what became of it.
  if (!draft.refused) sessionStorage.removeItem(KEY);
  if (!draft.refused || !form) return;
  sessionStorage.removeItem(KEY);
  for (const [name, value, checked] of draft.values) {
    const same = fields(form).filter((it) => it.name === name);
    const field = same.find((it) => ["checkbox", "radio"].includes(it.type) && it.value === value);
    if (field) field.checked = checked;
    else if (same[0] && !["checkbox", "radio"].includes(same[0].type)) same[0].value = value;
  }
  const note = document.createElement("p");
  note.className = "note";
  note.setAttribute("role", "status");
  note.textContent = "Your session had ended, so this was not sent. What you typed is back: check it and send it again.";
  form.prepend(note);
  note.scrollIntoView({ block: "center" });
})();
