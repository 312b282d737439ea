/** A button that puts a text on the clipboard. It is hidden where there is no clipboard: pages over plain HTTP. */
export function mount(button: HTMLElement): void {
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard === undefined) return;
  const word = button.textContent;
  button.hidden = false;
  button.addEventListener("click", () => {
    void clipboard.writeText(button.dataset["text"] ?? "").then(() => {
      button.textContent = "copied";
      setTimeout(() => (button.textContent = word), 1500);
    });
  });
}
