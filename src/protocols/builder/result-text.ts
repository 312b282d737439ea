/** How an execution ended, and builder's words for it. Apart from the wire format, which pages and lists don't need. */

/** Signals are OCaml's numbers (results.ts). */
export type Result =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signalled"; readonly signal: number }
  | { readonly kind: "stopped"; readonly signal: number }
  | { readonly kind: "message"; readonly text: string };

/** The words that builder prints: `exited 0`, `signalled -7`, `execution aborted: timeout`. */
export function resultText(result: Result): string {
  switch (result.kind) {
    case "exited":
      return `exited ${result.code}`;
    case "signalled":
    case "stopped":
      return `${result.kind} ${result.signal}`;
    case "message":
      return `execution aborted: ${result.text}`;
  }
}
