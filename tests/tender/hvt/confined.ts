// Confines itself as a tender does, and then makes one system call, or one of the things below, and prints the
// result: `bun confined.ts call NUMBER [ARGUMENT…]`, an argument being a number or `str:TEXT` or `buf:BYTES`.
import { CFunction } from "bun:ffi";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  cString,
  exitGroup,
  mmap,
  mprotect,
  prctl,
  syscall,
  viewOf,
  writeFrom,
} from "../../../src/linux/libc.ts";
import { confine } from "../../../src/tender/hvt/confinement.ts";

const PR_SET_NO_NEW_PRIVS = 38;
const PAGE = 4096;

const [what = "", ...words] = process.argv.slice(2);

function argument(word: string): bigint | Uint8Array {
  if (word.startsWith("str:")) return cString(word.slice(4));
  if (word.startsWith("buf:")) return new Uint8Array(Number(word.slice(4)));
  return BigInt(word);
}

/** getpid by the door that 32-bit programs use, where the same number is another call. */
function oldDoor(): () => number {
  const page = mmap(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  new Uint8Array(viewOf(page, PAGE)).set([0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3]);
  mprotect(page, PAGE, PROT_READ | PROT_EXEC);
  const call = CFunction({ ptr: page as never, args: [], returns: "i32" });
  return () => Number(call());
}

function load(size: number): number {
  let sum = 0;
  for (let i = 0; i < 2000; i++)
    sum += JSON.stringify(Array.from({ length: size }, (_, k) => ({ k, i }))).length;
  Bun.gc(true);
  return sum;
}

// Everything that the call needs is loaded, and the call itself has been made once, before the filter is there.
const [number = 0n, ...args] = what === "call" ? words.map(argument) : [];
const door = oldDoor();
syscall(39);
load(1);

if (prctl(PR_SET_NO_NEW_PRIVS, 1) < 0) throw new Error("no_new_privs");
confine(undefined);

function act(): number {
  switch (what) {
    case "call":
      return syscall(Number(number), ...args);
    case "int80":
      return door();
    case "load":
      return load(200) > 0 ? 0 : 1;
    default:
      return -1;
  }
}

const line = cString(`result ${act()}\n`);
writeFrom(1, line, line.length - 1);
exitGroup(0);
