/**
 * Breaks lines as OCaml's Format does, on which opam's printer rests: Oppen's algorithm ("Prettyprinting", 1980),
 * in one pass, deciding each break as soon as what follows is known to fit the line or not. What opam wrote can be
 * written again byte for byte only with Format's own rules at the edges, so they are kept:
 * - a box or break whose end isn't known yet is broken when what was seen of it *fills* the line; one whose end is
 *   known only when it *exceeds* the line;
 * - a break's size reaches through the next break of its box;
 * - nothing is indented beyond column 68, and a box that would open behind it begins on a new line.
 *
 * Widths are bytes of UTF-8.
 */

/** Format's defaults. */
const MARGIN = 78;
const DEEPEST_INDENT = 68;
const UNBOUNDED = 1_000_000_010;

/**
 * `flat`: never broken. `vertical`: every break is a new line. `all-or-none`: likewise when the box doesn't fit the
 * line. `fill`: breaks only where the line would be too long.
 */
export type BoxMode = "flat" | "vertical" | "all-or-none" | "fill";

type Piece = {
  readonly kind: "text" | "break" | "open" | "close";
  readonly text: string;
  /** Of a break: how far a new line is indented more than the box. Of a box: the same for all of its breaks. */
  readonly offset: number;
  readonly mode: BoxMode;
  /** The width of it alone. */
  readonly width: number;
  /** Its width with everything that it must fit the line with; negative as long as that isn't known. */
  size: number;
};

interface Box {
  readonly mode: BoxMode;
  /** The column of its first character, counted from the right margin. */
  readonly room: number;
}

export class Layout {
  readonly #out: string[] = [];
  #queue: Piece[] = [];
  #head = 0;
  /** Breaks and boxes whose size isn't known, and how much had been queued by then. */
  #unsized: { readonly piece: Piece; readonly at: number }[] = [];
  readonly #boxes: Box[] = [];
  /** Width of everything printed, and of everything queued ever. */
  #printed = 1;
  #queued = 1;
  #room = MARGIN;
  #open = 0;

  constructor() {
    this.open("fill");
  }

  text(text: string): void {
    const width = widthOf(text);
    this.#enqueue({ kind: "text", text, offset: 0, mode: "flat", width, size: width });
    this.#advance();
  }

  /** So many blanks, or a new line. */
  break(blanks: number, offset = 0): void {
    const size = -this.#queued;
    const piece: Piece = { kind: "break", text: "", offset, mode: "flat", width: blanks, size };
    this.#enqueue(piece);
    this.#resolve("break");
    this.#unsized.push({ piece, at: this.#queued });
  }

  open(mode: BoxMode, indent = 0): void {
    const piece: Piece = { kind: "open", text: "", offset: indent, mode, width: 0, size: -this.#queued };
    this.#enqueue(piece);
    this.#unsized.push({ piece, at: this.#queued });
    this.#open++;
  }

  close(): void {
    this.#enqueue({ kind: "close", text: "", offset: 0, mode: "flat", width: 0, size: 0 });
    this.#resolve("break");
    this.#resolve("open");
    this.#open--;
  }

  /** All of the text. Nothing may be added behind it. */
  finish(): string {
    while (this.#open > 0) this.close();
    this.#queued = UNBOUNDED;
    this.#advance();
    return this.#out.join("");
  }

  #enqueue(piece: Piece): void {
    this.#queued += piece.width;
    this.#queue.push(piece);
  }

  /** What was queued last ends the newest break, or the newest box. */
  #resolve(kind: "break" | "open"): void {
    const newest = this.#unsized.at(-1);
    if (newest === undefined) return;
    // It was printed already, and so was everything before it.
    if (newest.at < this.#printed) this.#unsized = [];
    else if (newest.piece.kind === kind) {
      newest.piece.size += this.#queued;
      this.#unsized.pop();
    }
  }

  #advance(): void {
    for (; this.#head < this.#queue.length; this.#head++) {
      const piece = this.#queue[this.#head];
      if (piece === undefined) break;
      if (piece.size < 0 && this.#queued - this.#printed < this.#room) break;
      this.#print(piece, piece.size < 0 ? UNBOUNDED : piece.size);
      this.#printed += piece.width;
    }
    if (this.#head < this.#queue.length && this.#head < Math.max(1024, this.#queue.length / 2)) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  #print(piece: Piece, size: number): void {
    switch (piece.kind) {
      case "text":
        this.#room -= piece.width;
        this.#out.push(piece.text);
        return;
      case "open":
        this.#openBox(piece, size);
        return;
      case "close":
        this.#boxes.pop();
        return;
      case "break":
        this.#printBreak(piece, size);
    }
  }

  #openBox({ mode, offset }: Piece, size: number): void {
    if (MARGIN - this.#room > DEEPEST_INDENT) {
      const outer = this.#boxes.at(-1);
      if (outer !== undefined && outer.mode !== "flat" && outer.room > this.#room)
        this.#newLine(outer.room, 0);
    }
    const isFlat = mode !== "vertical" && size <= this.#room;
    this.#boxes.push({ mode: isFlat ? "flat" : mode, room: this.#room - offset });
  }

  #printBreak({ width, offset }: Piece, size: number): void {
    const { mode, room } = this.#boxes.at(-1) ?? { mode: "flat", room: MARGIN };
    if (mode === "flat" || (mode === "fill" && size <= this.#room)) {
      this.#room -= width;
      this.#out.push(" ".repeat(width));
    } else this.#newLine(room, offset);
  }

  #newLine(room: number, offset: number): void {
    const indent = Math.max(0, Math.min(DEEPEST_INDENT, MARGIN - room + offset));
    this.#room = MARGIN - indent;
    this.#out.push("\n", " ".repeat(indent));
  }
}

function widthOf(text: string): number {
  // oxlint-disable-next-line no-control-regex
  return /^[\0-\x7f]*$/.test(text) ? text.length : Buffer.byteLength(text);
}
