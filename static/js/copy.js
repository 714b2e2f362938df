// Copies what has a copy button. The button shows only where scripts run.
(() => {
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
})();
