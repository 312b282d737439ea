/** Changes the colours without loading the page again; the server keeps the choice in a cookie. */
export function mount(element: HTMLElement): void {
  if (!(element instanceof HTMLFormElement)) return;
  element.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!(button instanceof HTMLButtonElement)) return;
    event.preventDefault();
    const theme = button.value;
    if (theme === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
    for (const other of element.querySelectorAll("button")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    void fetch(element.action, {
      method: "POST",
      body: new URLSearchParams({ theme, back: location.pathname }),
    });
  });
}
