// The signal handlers in machine code: equal to their source, and doing what they say in a process that never
// turns its event loop.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Architecture } from "../../src/lib/architecture.ts";
import { handlerCode } from "../../src/tender/stop-signals.ts";
import { lacks } from "../needs.ts";
import { assemble, needsAssembler } from "./assemble.ts";

const SOURCE: Record<Architecture, (message: string, length: number, status: number) => string> = {
  x86_64: (message, length, status) => `
    .text
        mov  $1, %eax
        mov  $2, %edi
        lea  message(%rip), %rsi
        mov  $${length}, %edx
        syscall
        mov  $231, %eax
        mov  $${status}, %edi
        syscall
    message:
        .ascii ${message}
  `,
  aarch64: (message, length, status) => `
    .text
        mov  x8, #64
        mov  x0, #2
        adr  x1, message
        mov  x2, #${length}
        svc  #0
        mov  x8, #94
        mov  x0, #${status}
        svc  #0
    message:
        .ascii ${message}
  `,
};

const cases: [message: string, status: number][] = [
  ["solo5-hvt: Exiting on signal 15\n", 1],
  ["robur: Exiting on signal 2\n", 130],
  ["", 0],
  ["x", 255],
  ["größe\n", 143],
  ["a long name ".repeat(300), 255],
];

for (const architecture of ["x86_64", "aarch64"] as const) {
  describe.skipIf(lacks(needsAssembler(architecture)))(`the handler for ${architecture}`, () => {
    test.each(cases)("is what its source assembles to, for %j and status %d", (message, status) => {
      const bytes = Buffer.from(message);
      const literal = `"${[...bytes].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("")}"`;
      const source = SOURCE[architecture](literal, bytes.length, status);
      expect(Buffer.from(handlerCode(message, status, architecture)).toString("hex")).toBe(
        Buffer.from(assemble(source, architecture)).toString("hex"),
      );
    });
  });
}

describe("a process that ends on signals", () => {
  const module = (path: string) => JSON.stringify(join(import.meta.dir, "../../src", path));
  // The process waits in different places, none of which lets a handler in JavaScript run.
  const places: [where: string, code: string][] = [
    ["asleep in poll", "libc.ppoll(new Int32Array(2), 0, null);"],
    ["busy in JavaScript", "for (;;) {}"],
  ];
  const program = (wait: string) => `
    const libc = await import(${module("linux/libc.ts")});
    const { endOnSignals } = await import(${module("tender/stop-signals.ts")});
    endOnSignals("some-name", (signal) => 100 + signal);
    libc.print("ready");
    ${wait}
  `;
  const start = async (wait: string) => {
    const child = Bun.spawn([process.execPath, "-e", program(wait)], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const reader = child.stdout.getReader();
    await reader.read();
    return { child, reader };
  };

  for (const [where, wait] of places) {
    for (const [name, signal] of [
      ["SIGTERM", 15],
      ["SIGINT", 2],
    ] as const) {
      test(`it says so and has the status that was asked for: ${name}, ${where}`, async () => {
        const { child } = await start(wait);
        child.kill(name);
        expect([await child.exited, await child.stderr.text()]).toEqual([
          100 + signal,
          `some-name: Exiting on signal ${signal}\n`,
        ]);
      });
    }
  }

  test("writing to a pipe that nobody reads doesn't end it", async () => {
    const { child, reader } = await start(`
      for (let i = 0; i < 100; i++) {
        if (libc.writeFrom(1, new Uint8Array(10), 10) === -32) process.exit(7);
        libc.ppoll(new Int32Array(2), 0, new Uint32Array([0, 0, 10_000_000, 0]));
      }
    `);
    await reader.cancel();
    expect(await child.exited).toBe(7);
  });
});
