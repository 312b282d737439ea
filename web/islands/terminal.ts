/**
 * A shell on the page: a terminal here, one on the server, and a WebSocket between them. What the server sends is
 * acknowledged when it is on the screen, so that it never sends more than the screen keeps up with.
 */
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";

/** Lines above the screen that can be scrolled back to. */
const SCROLLBACK = 5000;
/** Bytes of a message to the server, which takes no more than 64 KiB in one. */
const PIECE = 16 * 1024;

/** What the server says beside the shell's output. */
interface Told {
  readonly ended?: number;
  readonly error?: { readonly message: string; readonly why?: string; readonly hint?: string };
}

export function mount(element: HTMLElement): void {
  const lamp = document.querySelector<HTMLElement>("[data-live]");
  const say = (text: string, isOpen = false) => {
    lamp?.classList.toggle("on", isOpen);
    if (lamp) lamp.textContent = text;
  };
  const terminal = new Terminal({ scrollback: SCROLLBACK, cursorBlink: true, ...looksOf(element) });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  element.replaceChildren();
  terminal.open(element);
  fit.fit();

  const { cols, rows } = terminal;
  const socket = new WebSocket(`${element.dataset["source"]}?cols=${cols}&rows=${rows}`);
  socket.binaryType = "arraybuffer";
  const send = (data: string | Uint8Array<ArrayBuffer>) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(data);
  };
  const type = (bytes: Uint8Array<ArrayBuffer>) => {
    for (let at = 0; at < bytes.length; at += PIECE) send(bytes.slice(at, at + PIECE));
  };
  let words: string | undefined;
  socket.addEventListener("open", () => {
    say("connected", true);
    terminal.focus();
  });
  socket.addEventListener("message", ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (typeof data === "string") {
      words = wordsOf(JSON.parse(data) as Told) ?? words;
      return;
    }
    terminal.write(new Uint8Array(data), () => send(JSON.stringify({ taken: data.byteLength })));
  });
  socket.addEventListener("close", ({ reason }) => {
    say(words ?? (reason === "" ? "the connection is lost" : reason));
    terminal.options.cursorBlink = false;
    terminal.options.disableStdin = true;
    document.querySelector("[data-again]")?.removeAttribute("hidden");
  });

  const encoder = new TextEncoder();
  terminal.onData((text) => type(encoder.encode(text)));
  // Mouse reports of some programs are bytes and no text.
  terminal.onBinary((text) => type(Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff)));
  terminal.onResize((size) => send(JSON.stringify({ resize: [size.cols, size.rows] })));
  new ResizeObserver(() => fit.fit()).observe(element);
  for (const key of document.querySelectorAll<HTMLButtonElement>("button[data-key]")) {
    key.addEventListener("click", () => {
      terminal.input(key.dataset["key"] ?? "");
      terminal.focus();
    });
  }
  addEventListener("pagehide", () => socket.close());
}

/** The page's own colours and letters. */
function looksOf(element: HTMLElement) {
  const { backgroundColor: background, color: foreground, fontFamily, fontSize } = getComputedStyle(element);
  return {
    fontFamily,
    fontSize: Number.parseFloat(fontSize),
    theme: { background, foreground, cursor: foreground },
  };
}

function wordsOf({ ended, error }: Told): string | undefined {
  if (ended !== undefined) return `the shell ended with status ${ended}`;
  if (error === undefined) return undefined;
  return [error.message, error.why, error.hint].filter((text) => text !== undefined).join("; ");
}
