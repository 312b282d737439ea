/** What solo5-hvt and solo5-spt have in common: their arguments, their help, and the form of their errors. */
import { errorLine } from "../lib/errors.ts";
import { VERSION } from "../lib/version.ts";
import { SUPPORTED_VERSIONS } from "../image/abi.ts";
import { nameFile } from "../image/image-error.ts";
import type { Attachment } from "../image/manifest.ts";
import { type Unikernel, readUnikernel } from "../image/unikernel.ts";
import { printError } from "../linux/libc.ts";
import { openDevices, planDevices } from "../tender/attach.ts";
import { type TenderKind, type TenderOptions, parseOptions, scanArguments } from "../tender/solo5-options.ts";
import { TenderError } from "../tender/tender-error.ts";
import { type FoundImage, findImage } from "./find-image.ts";
import { solo5Usage } from "./solo5-usage.ts";

export interface Solo5Invocation {
  readonly image: FoundImage;
  readonly unikernel: Unikernel;
  readonly args: readonly string[];
  readonly options: TenderOptions;
  /** Opens the devices that the options name. */
  readonly open: () => Attachment[];
  /** One line on standard error, behind the program's name. */
  readonly warn: (line: string) => void;
}

/**
 * Reads a command line of the original tender `program` and hands it to `run`. Ends the process with the
 * original's statuses: 0 for --version, 1 for --help and for whatever goes wrong. `own`: options beyond the
 * original's are taken too.
 */
export function invokeSolo5(
  program: string,
  kind: TenderKind,
  argv: readonly string[],
  run: (invocation: Solo5Invocation) => never,
  own = false,
): never {
  const warn = (line: string) => printError(`${program}: ${line}\n`);
  const invocation = scanArguments(argv);
  switch (invocation.kind) {
    case "help":
      printError(solo5Usage(program, kind));
      process.exit(1);
    case "version":
      printError(`${program} tender, version robur ${VERSION}\n`);
      for (const version of SUPPORTED_VERSIONS) printError(`ABI version ${version}\n`);
      process.exit(0);
    case "missing-kernel":
      warn("Missing KERNEL operand");
      printError(solo5Usage(program, kind));
      process.exit(1);
  }
  try {
    const { kernel, args } = invocation;
    const image = findImage(kernel);
    const unikernel = nameFile(kernel, () => readUnikernel(image.source, kind));
    const options = parseOptions(invocation.options, kind, { debug: program.endsWith("-debug"), own });
    const open = () => openDevices(planDevices(unikernel.manifest, options.request, random));
    return run({ image, unikernel, args, options, open, warn });
  } catch (error) {
    warn(errorLine(error));
    const isUsage =
      error instanceof TenderError && (error.code === "bad-option" || error.code === "not-declared");
    if (isUsage) printError(solo5Usage(program, kind));
    process.exit(1);
  }
}

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
