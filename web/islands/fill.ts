/** Fetches what takes a while to be made, and puts it in the place of the link to it, which stays where that fails. */
export function mount(element: HTMLElement): void {
  void fill(element);
}

async function fill(element: HTMLElement): Promise<void> {
  element.ariaBusy = "true";
  const response = await fetch(element.dataset["source"] ?? "", { headers: { accept: "text/html" } }).catch(
    () => undefined,
  );
  element.ariaBusy = "false";
  if (response?.ok !== true) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.getElementById(element.id);
  if (fresh !== null) element.replaceWith(fresh);
}
