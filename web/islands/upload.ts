/** Shows how far an upload is, and takes a file that is dropped. */
export function mount(element: HTMLElement): void {
  if (!(element instanceof HTMLFormElement)) return;
  const form = element;
  const input = form.querySelector<HTMLInputElement>("input[type=file]");
  const drop = form.querySelector<HTMLElement>(".drop");
  if (input === null || drop === null) return;
  dropInto(drop, input);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}

function dropInto(drop: HTMLElement, input: HTMLInputElement): void {
  const over = (isOver: boolean) => drop.classList.toggle("over", isOver);
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    over(true);
  });
  drop.addEventListener("dragleave", () => over(false));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    const files = event.dataTransfer?.files;
    if (files !== undefined && files.length > 0) input.files = files;
  });
}

/** XMLHttpRequest tells how much was sent; fetch doesn't. The answer is a page, of success or of what is wrong. */
function send(form: HTMLFormElement): void {
  const button = form.querySelector<HTMLButtonElement>("button[type=submit]");
  const place = form.querySelector<HTMLElement>("[data-progress]");
  const progress = document.createElement("progress");
  progress.setAttribute("aria-label", "Upload");
  progress.max = 1;
  place?.replaceChildren(progress);
  if (button !== null) button.disabled = true;

  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("accept", "text/html");
  request.upload.addEventListener(
    "progress",
    ({ loaded, total }) => (progress.value = total === 0 ? 0 : loaded / total),
  );
  request.addEventListener("load", () => {
    if (request.status < 400) {
      location.href = request.responseURL;
      return;
    }
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    document.body.replaceChildren(...page.body.childNodes);
  });
  request.addEventListener("error", () => {
    if (button !== null) button.disabled = false;
    if (place !== null) place.textContent = "The connection broke off. Try again.";
  });
  request.send(new FormData(form));
}
