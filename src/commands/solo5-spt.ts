/** The executable called as solo5-spt: the options, messages and exit statuses of the original. */
import { errorLine } from "../lib/errors.ts";
import { VERSION } from "../lib/version.ts";
import { SUPPORTED_VERSIONS } from "../image/abi.ts";
import { nameFile } from "../image/image-error.ts";
import { readUnikernel } from "../image/unikernel.ts";
import { printError } from "../linux/libc.ts";
import { openDevices, planDevices } from "../tender/attach.ts";
import { chooseUser } from "../tender/privileges.ts";
import { parseOptions, scanArguments } from "../tender/solo5-options.ts";
import { execSpt } from "../tender/spt/exec.ts";
import { TenderError } from "../tender/tender-error.ts";
import { findImage } from "./find-image.ts";
import { solo5Usage } from "./solo5-usage.ts";

/**
 * Runs the tender with the arguments behind its name; `program` is the name it was called by. The guest takes the
 * place of this process, as it does in the original: callers keep the process id they have, and see a forbidden
 * system call as the signal that it is.
 */
export function solo5Spt(program: string, argv: readonly string[]): never {
  const warn = (line: string) => printError(`${program}: ${line}\n`);
  const invocation = scanArguments(argv);
  switch (invocation.kind) {
    case "help":
      printError(solo5Usage(program, "spt"));
      process.exit(1);
    case "version":
      printError(`${program} tender, version robur ${VERSION}\n`);
      for (const version of SUPPORTED_VERSIONS) printError(`ABI version ${version}\n`);
      process.exit(0);
    case "missing-kernel":
      warn("Missing KERNEL operand");
      printError(solo5Usage(program, "spt"));
      process.exit(1);
  }
  try {
    const { kernel, args } = invocation;
    const image = findImage(kernel);
    const unikernel = nameFile(kernel, () => readUnikernel(image.source, "spt"));
    const options = parseOptions(invocation.options, "spt");
    if (options.execHeap) warn("warning: the guest may execute all of its memory (--x-exec-heap)");
    const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
    const attachments = openDevices(planDevices(unikernel.manifest, options.request, random));
    execSpt({
      image,
      unikernel,
      memory: options.memory,
      args,
      attachments,
      user: chooseUser(undefined),
      execHeap: options.execHeap,
      complaint: `${program}: `,
    });
  } catch (error) {
    warn(errorLine(error));
    const isUsage =
      error instanceof TenderError && (error.code === "bad-option" || error.code === "not-declared");
    if (isUsage) printError(solo5Usage(program, "spt"));
    process.exit(1);
  }
}
