/**
 * Errors that people read. Each module family extends RoburError with a closed union of codes, says what
 * happened in the message, and where it can, why and what to do about it. They are turned into text once, at
 * the edge of the command line.
 */
export class RoburError<Code extends string = string> extends Error {
  readonly code: Code;
  /** Why it happened, one sentence. */
  readonly why: string | undefined;
  /** A command or an action that mends it. */
  readonly hint: string | undefined;

  constructor(code: Code, message: string, more: { why?: string; hint?: string; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = "RoburError";
    this.code = code;
    this.why = more.why;
    this.hint = more.hint;
  }
}

/** What was typed cannot be understood: exit status 2. */
export class UsageError extends RoburError<"usage"> {
  constructor(message: string, more: { why?: string; hint?: string } = {}) {
    super("usage", message, more);
  }
}

/** What went wrong first: where cleaning up after it fails as well, the language hides it behind that. */
export function firstError(error: unknown): unknown {
  return error instanceof SuppressedError ? firstError(error.suppressed) : error;
}

/** The text of an error for standard error, several lines, each ended by a newline. */
export function formatError(thrown: unknown): string {
  const error = firstError(thrown);
  if (!(error instanceof RoburError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `error: this is a fault in robur itself, please report it\n  ${text.replaceAll("\n", "\n  ")}\n`;
  }
  const lines = [`error: ${error.message}`];
  if (error.why !== undefined) lines.push(...indent(error.why, "  "));
  if (error.hint !== undefined) lines.push(...indent(error.hint, "  try: "));
  return visible(lines.join("\n")) + "\n";
}

/** A one-line form, as the original tenders print theirs. */
export function errorLine(thrown: unknown): string {
  const error = firstError(thrown);
  if (!(error instanceof RoburError)) return formatError(error).trimEnd();
  return visible(error.why === undefined ? error.message : `${error.message}: ${error.why}`);
}

/**
 * Text with its control characters spelled out, line ends excepted: names from images and files are other
 * people's bytes, and must not move the cursor or colour the rest of a terminal, nor turn the order of letters round.
 */
export function visible(text: string): string {
  return text.replace(/(?!\n)[\p{Cc}\p{Bidi_Control}]/gu, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`;
  });
}

function indent(text: string, first: string): string[] {
  const rest = " ".repeat(first.length);
  return text.split("\n").map((line, i) => (i === 0 ? first : rest) + line);
}
