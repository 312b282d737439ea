/** Takes the set-up code out of the address: it goes into the form, and not into the browser's history. */
export function mount(form: HTMLElement): void {
  const field = form.querySelector<HTMLElement>("[data-secret]");
  const input = field?.querySelector("input");
  const secret = location.hash.slice(1);
  if (field === null || field === undefined || input === null || input === undefined || secret === "") return;
  input.value = secret;
  field.hidden = true;
  history.replaceState(null, "", location.pathname);
  form.querySelector<HTMLInputElement>("#user")?.focus();
}
