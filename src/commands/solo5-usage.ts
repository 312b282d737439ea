/** The help of the original tenders' names, in our words. */
import type { TenderKind } from "../tender/solo5-options.ts";

/** The usage text of `program`, for standard error. */
export function solo5Usage(program: string, kind: TenderKind): string {
  const debug = kind === "hvt" && program.endsWith("-debug");
  return `usage: ${program} [ CORE OPTIONS ] [ MODULE OPTIONS ] [ -- ] KERNEL [ ARGS ... ]
KERNEL is the path of the unikernel to run; ARGS are its own arguments, whatever they look like.
Core options:
  --mem=512                    guest memory in MiB
  --help                       this text
  --version                    version of the tender and of the ABIs that it runs
${debug ? "  --dumpcore=DIR               where to leave a core file when the guest aborts\n" : ""}${kind === "spt" ? "  --x-exec-heap                let the guest execute its memory\n" : ""}Modules:
  --net:NAME=IFACE | @FD       network device NAME on a tap interface, or on an open tap's descriptor
  --net-mac:NAME=HWADDR        its MAC address
  --block:NAME=PATH            block device NAME on a file or a block device
  --block-sector-size:NAME=512 its sector size, a power of two from 512 to 32768
`;
}
