/** The executable called as solo5-hvt: the options, messages and exit statuses of the original. */
import { openCoreDirectory } from "../tender/hvt/core-dump.ts";
import { hvtMemory, startHvt } from "../tender/hvt/start.ts";
import { chooseUser } from "../tender/privileges.ts";
import { invokeSolo5 } from "./solo5-invocation.ts";

/** Runs the tender with the arguments behind its name. `program` is the name it was called by; `own` takes options beyond the original's. */
export function solo5Hvt(program: string, argv: readonly string[], own = false): never {
  return invokeSolo5(
    program,
    "hvt",
    argv,
    ({ image, unikernel, args, options, open, warn }) => {
      const memory = hvtMemory(options.memory);
      if (memory !== options.memory) warn(`adjusting memory to ${memory} bytes`);
      const attachments = open();
      const common = { image, unikernel, memory, args, attachments, program, signalStatus: () => 1 };
      if (options.dumpCore === undefined) return startHvt({ ...common, user: chooseUser(undefined) });
      // A core file is written by whoever started the tender.
      return startHvt({ ...common, user: undefined, coreDirectory: openCoreDirectory(options.dumpCore) });
    },
    own,
  );
}
