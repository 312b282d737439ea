/** What both pictures do in the browser. */

/** Puts the same part of another page in place of what is in `element`; goes there where that fails. */
export async function replaceFrom(element: HTMLElement, address: string, part: string): Promise<boolean> {
  const response = await fetch(address, { headers: { accept: "text/html" } }).catch(() => undefined);
  const page =
    response?.ok === true
      ? new DOMParser().parseFromString(await response.text(), "text/html").querySelector(part)
      : undefined;
  if (page === undefined || page === null) {
    location.assign(address);
    return false;
  }
  element.replaceChildren(...page.childNodes);
  return true;
}

/** A field above a picture; `find` marks what fits and says how many do. */
export function addSearch(before: Element, label: string, find: (text: string) => number): void {
  const form = document.createElement("p");
  form.className = "picture-search";
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = label;
  field.setAttribute("aria-label", label);
  const count = document.createElement("span");
  count.className = "muted";
  count.setAttribute("aria-live", "polite");
  field.addEventListener("input", () => {
    const text = field.value.trim().toLowerCase();
    const found = find(text);
    count.textContent = text === "" ? "" : `${found} found`;
  });
  form.append(field, count);
  before.before(form);
}
