/**
 * An spt guest in the place of this process, same process id: for solo5-spt, whose callers hold on to the
 * process that they started. Nothing of this program is left to say how the guest ended; its status or signal is
 * the process's. A shell names the signal (SIGSYS is "Bad system call").
 */
import { errnoText } from "../../linux/errno.ts";
import { addressOf, cString, setBlocking, setCloseOnExec, syscall } from "../../linux/libc.ts";
import { syscallNumber } from "../../linux/syscalls.ts";
import { TenderError } from "../tender-error.ts";
import { type SptSpec, prepareSptInPlace } from "./prepare.ts";

const AT_EMPTY_PATH = 0x1000;
const STDOUT = 1;

/**
 * Becomes the guest. Whatever was written through the runtime's streams and is still buffered is lost. The
 * environment is not handed on. Throws as `prepareSpt`, and TenderError sandbox-failed.
 */
export function execSpt(spec: SptSpec): never {
  const prepared = prepareSptInPlace(spec);
  const argv = prepared.argv.map(cString);
  const argvPointers = new BigUint64Array([...argv.map((arg) => BigInt(addressOf(arg))), 0n]);
  const envPointers = new BigUint64Array(1);
  for (const fd of prepared.descriptors) setCloseOnExec(fd, false);
  // A guest takes "try again" from its console for a failure.
  setBlocking(STDOUT);
  const result = syscall(
    syscallNumber("execveat"),
    prepared.executable,
    cString(""),
    argvPointers,
    envPointers,
    AT_EMPTY_PATH,
  );
  for (const fd of prepared.descriptors) setCloseOnExec(fd, true);
  prepared.close();
  throw new TenderError("sandbox-failed", "the unikernel's process could not be started", {
    why: errnoText(-result),
  });
}
