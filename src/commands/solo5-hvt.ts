/** The executable called as solo5-hvt: the options, messages and exit statuses of the original. */
import { printError } from "../linux/libc.ts";
import { errorLine } from "../lib/errors.ts";
import { VERSION } from "../lib/version.ts";
import { SUPPORTED_VERSIONS } from "../image/abi.ts";
import { nameFile } from "../image/image-error.ts";
import { readUnikernel } from "../image/unikernel.ts";
import { openDevices, planDevices } from "../tender/attach.ts";
import { openCoreDirectory } from "../tender/hvt/core-dump.ts";
import { hvtMemory, startHvt } from "../tender/hvt/start.ts";
import { chooseUser } from "../tender/privileges.ts";
import { parseOptions, scanArguments } from "../tender/solo5-options.ts";
import { TenderError } from "../tender/tender-error.ts";
import { findImage } from "./find-image.ts";
import { solo5Usage } from "./solo5-usage.ts";

/** Runs the tender with the arguments behind its name. `program` is the name it was called by. */
export function solo5Hvt(program: string, argv: readonly string[]): never {
  const warn = (line: string) => printError(`${program}: ${line}\n`);
  const invocation = scanArguments(argv);
  switch (invocation.kind) {
    case "help":
      printError(solo5Usage(program, "hvt"));
      process.exit(1);
    case "version":
      printError(`${program} tender, version robur ${VERSION}\n`);
      for (const version of SUPPORTED_VERSIONS) printError(`ABI version ${version}\n`);
      process.exit(0);
    case "missing-kernel":
      warn("Missing KERNEL operand");
      printError(solo5Usage(program, "hvt"));
      process.exit(1);
  }
  try {
    const { kernel, args } = invocation;
    const image = findImage(kernel);
    const unikernel = nameFile(kernel, () => readUnikernel(image.source, "hvt"));
    const options = parseOptions(invocation.options, "hvt", program.endsWith("-debug"));
    const memory = hvtMemory(options.memory);
    if (memory !== options.memory) warn(`adjusting memory to ${memory} bytes`);
    const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
    const attachments = openDevices(planDevices(unikernel.manifest, options.request, random));
    const coreDirectory = options.dumpCore === undefined ? undefined : openCoreDirectory(options.dumpCore);
    startHvt({
      image,
      unikernel,
      memory,
      args,
      attachments,
      program,
      user: coreDirectory === undefined ? chooseUser(undefined) : undefined,
      signalStatus: () => 1,
      ...(coreDirectory === undefined ? {} : { coreDirectory }),
    });
  } catch (error) {
    warn(errorLine(error));
    const isUsage =
      error instanceof TenderError && (error.code === "bad-option" || error.code === "not-declared");
    if (isUsage) printError(solo5Usage(program, "hvt"));
    process.exit(1);
  }
}
