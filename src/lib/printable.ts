/** Other people's lines, made safe to show. */

/**
 * A line as text that is safe to show: UTF-8 with replacement characters, control characters but tabs written as
 * `\x1b`. `keepColours` lets the escape sequences for colours through, and no others.
 */
export function printable(bytes: Uint8Array, keepColours = false): string {
  return printableText(new TextDecoder().decode(bytes).replace(/\r$/, ""), keepColours);
}

/** The same for what is text already. */
export function printableText(text: string, keepColours = false): string {
  return text.replaceAll(COLOURS_AND_CONTROLS, (match) =>
    match.length > 1 && keepColours ? match : escapeControls(match),
  );
}

/** The same of a text, without its colours. */
export function uncoloured(text: string): string {
  return text
    .replace(/\r$/, "")
    .replaceAll(COLOURS_AND_CONTROLS, (match) => (match.length > 1 ? "" : escapeControls(match)));
}

// oxlint-disable-next-line no-control-regex
const COLOURS_AND_CONTROLS = /\x1b\[[\d;]{0,32}m|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;

function escapeControls(text: string): string {
  return Array.from(text, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x20 || (code >= 0x7f && code < 0xa0) ? `\\x${code.toString(16).padStart(2, "0")}` : c;
  }).join("");
}
