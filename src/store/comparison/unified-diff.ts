/**
 * The difference of two texts by lines, as `diff -u` writes it. Myers' greedy algorithm ("An O(ND) Difference Algorithm
 * and Its Variations", 1986) finds the shortest one; where two texts have too little in common for that to be quick,
 * what differs is shown as one piece, which is as right and not as short.
 */

/** Beyond so many changed lines the shortest difference isn't searched: 4 MB and some hundredths of a second. */
const MOST_CHANGES = 1000;
/** Lines on both sides together, behind and before equal ones. */
const MOST_LINES = 400_000;
const CONTEXT = 3;

/** A run of lines: `left` and `right` are where it begins. Equal runs have the same lines on both sides. */
interface Run {
  readonly isEqual: boolean;
  readonly left: number;
  readonly right: number;
  readonly leftCount: number;
  readonly rightCount: number;
}

/** How many changed lines may still be searched for, over several pairs of texts: other people's, and any number. */
export interface Effort {
  changes: number;
}

/** Empty where the texts are equal. Ends with a newline. */
export function unifiedDiff(
  left: string,
  right: string,
  labels: { readonly left: string; readonly right: string },
  effort: Effort = { changes: MOST_CHANGES },
): string {
  if (left === right) return "";
  const l = linesOf(left);
  const r = linesOf(right);
  const hunks = hunksOf(runsOf(l, r, effort)).map((runs) => formatHunk(runs, l, r));
  return `--- ${labels.left}\n+++ ${labels.right}\n${hunks.join("")}`;
}

/** Lines with their ends, so that a last line without one differs from one with. */
function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function runsOf(left: readonly string[], right: readonly string[], effort: Effort): Run[] {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start++;
  let end = 0;
  const most = Math.min(left.length, right.length) - start;
  while (end < most && left[left.length - 1 - end] === right[right.length - 1 - end]) end++;
  const runs: Run[] = [];
  const add = (isEqual: boolean, at: [number, number], leftCount: number, rightCount: number) => {
    if (leftCount > 0 || rightCount > 0)
      runs.push({ isEqual, left: at[0], right: at[1], leftCount, rightCount });
  };
  add(true, [0, 0], start, start);
  let l = start;
  let r = start;
  const leftMiddle = left.slice(start, left.length - end);
  const rightMiddle = right.slice(start, right.length - end);
  for (const [x, y, length] of matchesOf(leftMiddle, rightMiddle, effort)) {
    add(false, [l, r], start + x - l, start + y - r);
    add(true, [start + x, start + y], length, length);
    l = start + x + length;
    r = start + y + length;
  }
  add(false, [l, r], left.length - end - l, right.length - end - r);
  add(true, [left.length - end, right.length - end], end, end);
  return runs;
}

/** Where, and how long, the two have the same lines: in order, each as long as it can be. */
function matchesOf(
  left: readonly string[],
  right: readonly string[],
  effort: Effort,
): [number, number, number][] {
  if (left.length === 0 || right.length === 0 || left.length + right.length > MOST_LINES) return [];
  const numbers = new Map<string, number>();
  const numbered = (line: string) => {
    const known = numbers.get(line);
    if (known !== undefined) return known;
    numbers.set(line, numbers.size);
    return numbers.size - 1;
  };
  const a = Int32Array.from(left, numbered);
  const b = Int32Array.from(right, numbered);
  const most = Math.min(MOST_CHANGES, effort.changes, a.length + b.length);
  // furthest[k + most]: how far down the left one gets on diagonal k (left minus right) with d changes.
  const furthest = new Int32Array(2 * most + 3);
  const at = (array: Int32Array, i: number) => array[i] ?? 0;
  const trace: Int32Array[] = [];
  for (let d = 0; d <= most; d++) {
    for (let k = -d; k <= d; k += 2) {
      const i = k + most + 1;
      const isDown = k === -d || (k !== d && at(furthest, i - 1) < at(furthest, i + 1));
      let x = isDown ? at(furthest, i + 1) : at(furthest, i - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      furthest[i] = x;
      if (x >= a.length && x - k >= b.length) {
        effort.changes -= d;
        return walkBack(trace, d, k);
      }
    }
    trace.push(furthest.slice(most + 1 - d, most + 2 + d));
  }
  effort.changes -= most;
  return [];

  function walkBack(
    rows: readonly Int32Array[],
    changes: number,
    diagonal: number,
  ): [number, number, number][] {
    const found: [number, number, number][] = [];
    let x = a.length;
    let k = diagonal;
    for (let d = changes; d > 0; d--) {
      // Row d - 1 has the diagonals -(d - 1) … d - 1 in order.
      const row = rows[d - 1] ?? new Int32Array();
      const below = k - 1 < -(d - 1) ? -1 : at(row, k - 1 + d - 1);
      const above = k + 1 > d - 1 ? -1 : at(row, k + 1 + d - 1);
      const isDown = k === -d || (k !== d && below < above);
      const start = isDown ? above : below + 1;
      if (x > start) found.push([start, start - k, x - start]);
      x = isDown ? above : below;
      k += isDown ? 1 : -1;
    }
    if (x > 0) found.push([0, 0, x]);
    return found.toReversed();
  }
}

/** Changes with what is around them; those near each other in one. */
function hunksOf(runs: readonly Run[]): Run[][] {
  const hunks: Run[][] = [];
  let hunk: Run[] | undefined;
  for (const [i, run] of runs.entries()) {
    if (!run.isEqual) {
      const before = runs[i - 1];
      if (hunk === undefined) hunk = before === undefined ? [] : [tail(before)];
      else if (before?.isEqual === true) hunk.push(before);
      hunk.push(run);
      continue;
    }
    if (hunk === undefined) continue;
    const isLast = i === runs.length - 1;
    if (!isLast && run.leftCount <= 2 * CONTEXT) continue;
    hunk.push(head(run));
    hunks.push(hunk);
    hunk = undefined;
  }
  if (hunk !== undefined) hunks.push(hunk);
  return hunks;
}

function head(run: Run): Run {
  const count = Math.min(CONTEXT, run.leftCount);
  return { ...run, leftCount: count, rightCount: count };
}

function tail(run: Run): Run {
  const count = Math.min(CONTEXT, run.leftCount);
  const skipped = run.leftCount - count;
  return {
    ...run,
    left: run.left + skipped,
    right: run.right + skipped,
    leftCount: count,
    rightCount: count,
  };
}

function formatHunk(runs: readonly Run[], left: readonly string[], right: readonly string[]): string {
  const [first] = runs;
  if (first === undefined) return "";
  const leftCount = runs.reduce((sum, run) => sum + run.leftCount, 0);
  const rightCount = runs.reduce((sum, run) => sum + run.rightCount, 0);
  const lines = runs.flatMap((run) =>
    run.isEqual
      ? marked(" ", left.slice(run.left, run.left + run.leftCount))
      : [
          ...marked("-", left.slice(run.left, run.left + run.leftCount)),
          ...marked("+", right.slice(run.right, run.right + run.rightCount)),
        ],
  );
  return `@@ -${range(first.left, leftCount)} +${range(first.right, rightCount)} @@\n${lines.join("")}`;
}

/** The line number before an empty range, the first one of others; a count of one is left out. */
function range(start: number, count: number): string {
  if (count === 1) return String(start + 1);
  return `${count === 0 ? start : start + 1},${count}`;
}

function marked(mark: string, lines: readonly string[]): string[] {
  return lines.map((line) =>
    line.endsWith("\n") ? mark + line : `${mark}${line}\n\\ No newline at end of file\n`,
  );
}
