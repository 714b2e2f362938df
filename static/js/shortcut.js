// The `/` key focuses the search field.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const field = document.querySelector("[data-shortcut='/']");
  if (field) {
    event.preventDefault();
    field.focus();
  }
});
