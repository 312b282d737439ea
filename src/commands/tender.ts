/** `robur tender hvt|spt …`: the tenders by their original options, under no other name than robur's. */
import { print } from "../linux/libc.ts";
import { UsageError } from "../lib/errors.ts";

const USAGE = `robur tender hvt|spt [OPTIONS] [--] IMAGE [ARGUMENTS]

Runs one unikernel with the options of solo5-hvt or solo5-spt. A link of that name to the
executable does the same:  ln -s $(command -v robur) solo5-hvt
One option is robur's own: --block-ro:NAME=PATH attaches a block device for reading only.
robur tender hvt --help lists the options.
`;

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const [kind, ...rest] = argv;
  if (kind === "hvt") {
    const { solo5Hvt } = await import("./solo5-hvt.ts");
    solo5Hvt("solo5-hvt", rest, true);
  }
  if (kind === "spt") {
    const { solo5Spt } = await import("./solo5-spt.ts");
    solo5Spt("solo5-spt", rest, true);
  }
  if (kind === "--help" || kind === "-h") {
    print(USAGE);
    return;
  }
  throw new UsageError(kind === undefined ? "which tender? hvt or spt" : `no such tender: ${kind}`, {
    hint: "robur tender hvt --help",
  });
}
