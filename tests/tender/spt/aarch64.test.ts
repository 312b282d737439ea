/**
 * The aarch64 launcher on another machine, by QEMU's user mode emulation, which does every system call of it but
 * seccomp. Nothing here replaces a run on hardware.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";

import { tmpdir } from "node:os";
import { join } from "node:path";
import { syscallNumber } from "../../../src/linux/syscalls.ts";
import { encodeSptBootInfo } from "../../../src/tender/spt/boot-info.ts";
import { writeLauncher } from "../../../src/tender/spt/launcher-image.ts";
import { lacks, needsCommands } from "../../needs.ts";
import { fileOf } from "./launcher-machine.ts";

const cannotRun = lacks(needsCommands("qemu-aarch64"));
const directory = mkdtempSync(join(tmpdir(), "aarch64-"));
afterAll(() => rmSync(directory, { recursive: true }));

const MEMORY = 32 * 1024 * 1024;
const ENTRY = 0x10_0000;

/** A guest that says "hi" and exits with the distance of its stack pointer from the end of memory. */
const GUEST = new Uint32Array([
  0xf940_0009, // ldr x9, [x0]         memory, from the boot info
  0x9100_03ea, // mov x10, sp
  0xcb0a_0133, // sub x19, x9, x10     16, the distance of the stack from the end of memory
  0xd280_0020, // mov x0, 1
  0x1000_00e1, // adr x1, text
  0xd280_0062, // mov x2, 3
  0xd280_0808, // mov x8, 64           write
  0xd400_0001, // svc 0
  0xaa13_03e0, // mov x0, x19
  0xd280_0bc8, // mov x8, 94           exit_group
  0xd400_0001, // svc 0
  0x000a_6968, // text: "hi\n"
]);

const guest = new Uint8Array(GUEST.buffer);
const descriptors = { epoll: 5, timer: 6 };
const launcher = fileOf(
  writeLauncher(
    {
      architecture: "aarch64",
      load: {
        entry: ENTRY,
        kernelEnd: ENTRY + 0x1_0000,
        memoryEnd: ENTRY + 0x1_0000,
        segments: [
          {
            offset: 0,
            fileSize: guest.length,
            vaddr: ENTRY,
            memSize: guest.length,
            start: ENTRY,
            end: ENTRY + 0x1_0000,
            flags: 5,
          },
        ],
      },
      memory: MEMORY,
      bootInfo: encodeSptBootInfo({
        memory: MEMORY,
        kernelEnd: ENTRY + 0x1_0000,
        manifest: new Uint8Array(112),
        commandLine: new Uint8Array(1),
        descriptors,
      }),
      descriptors: { launcher: 3, image: 4, ...descriptors },
      devices: [],
      execHeap: false,
      surviveConsole: false,
      dieWithParent: false,
      title: new TextEncoder().encode("guest\0"),
      addressSpaceEnd: 2 ** 48,
    },
    "tender: ",
  ),
);

async function run(program: Uint8Array, image: Uint8Array): Promise<{ output: string; status: number }> {
  const paths = [program, image].map((bytes, i) => {
    const path = join(directory, `${crypto.randomUUID()}-${i}`);
    writeFileSync(path, bytes, { mode: 0o700 });
    return path;
  });
  const fds = [...paths, "/dev/null", "/dev/null"].map((path) => openSync(path, "r"));
  const child = Bun.spawn(["qemu-aarch64", paths[0]!], { stdio: ["ignore", "pipe", "pipe", ...fds] });
  for (const fd of fds) closeSync(fd);
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout as ReadableStream).text(),
    new Response(child.stderr as ReadableStream).text(),
    child.exited,
  ]);
  return { output: stdout + stderr, status };
}

/** The same launcher with a call that does no harm in the place of seccomp, which the emulation doesn't have. */
function withoutFilter(file: Uint8Array): Uint8Array {
  const copy = file.slice();
  const view = new DataView(copy.buffer);
  const seccomp = BigInt(syscallNumber("seccomp", "aarch64"));
  let found = 0;
  for (let at = 0; at + 16 <= copy.length; at++) {
    if (view.getBigUint64(at, true) !== seccomp || view.getBigUint64(at + 8, true) !== 1n) continue;
    view.setBigUint64(at, BigInt(syscallNumber("getpid", "aarch64")), true);
    found += 1;
  }
  expect(found).toBe(1);
  return copy;
}

/** The emulation takes seconds to unmap what is mostly not mapped. */
const LIMIT_MS = 120_000;

describe.skipIf(cannotRun)("the aarch64 launcher, emulated", () => {
  test(
    "does all its steps and enters the guest",
    async () => {
      expect(await run(withoutFilter(launcher), guest)).toEqual({ output: "hi\n", status: 16 });
    },
    LIMIT_MS,
  );

  test(
    "says what failed, and why, on the console when nothing else is open any more",
    async () => {
      const output = "tender: cannot install the seccomp filter: Function not implemented\n";
      expect(await run(launcher, guest)).toEqual({ output, status: 1 });
    },
    LIMIT_MS,
  );
});
