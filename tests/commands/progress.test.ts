import { expect, test } from "bun:test";
import { formatTable, printable } from "../../src/commands/table.ts";
import { progressLine } from "../../src/commands/progress.ts";

const MIB = 1024 * 1024;

test("progressLine() says how far, how much, how fast and how long still", () => {
  expect(progressLine("filling data", 32 * MIB, 64 * MIB, 2000)).toBe(
    "filling data [============            ] 50%  32 MiB of 64 MiB  16 MiB/s  2 s left",
  );
  expect(progressLine("x", 64 * MIB, 64 * MIB, 1000)).toContain("[========================]100%");
  expect(progressLine("x", MIB, 1024 * 1024 * MIB, 1000)).toContain("291 h 16 min left");
  expect(progressLine("x", MIB, 100 * MIB, 1000)).toContain("1 min 39 s left");
});

test("progressLine() makes do without knowing the end, or before anything is done", () => {
  expect(progressLine("filling data", 5 * MIB, undefined, 1000)).toBe("filling data  5 MiB  5 MiB/s");
  expect(progressLine("x", 0, MIB, 0)).toContain("  0%");
  // More than was announced, from a file that grows.
  expect(progressLine("x", 2 * MIB, MIB, 1000)).toContain("100%");
});

test("formatTable() measures as a terminal does, and lets no control character through", () => {
  const columns = [
    { title: "NAME", text: ({ name }: { name: string }) => name },
    { title: "N", text: ({ name }: { name: string }) => String(name.length), isRight: true },
    { title: "LAST", text: () => "" },
  ];
  const table = formatTable(columns, [{ name: "日本" }, { name: "a\u001b[2J\nb" }]);
  expect(table).toBe("NAME     N  LAST\n日本     2\na?[2J?b  7\n");
  expect(printable("a\tb\u009b")).toBe("a?b?");
});
