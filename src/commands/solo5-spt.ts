/** The executable called as solo5-spt: the options, messages and exit statuses of the original. */
import { chooseUser } from "../tender/privileges.ts";
import { execSpt } from "../tender/spt/exec.ts";
import { invokeSolo5 } from "./solo5-invocation.ts";

/**
 * Runs the tender with the arguments behind its name; `program` is the name it was called by; `own`
 * takes options beyond the original's. The guest takes the
 * place of this process, as it does in the original: callers keep the process id they have, and see a forbidden
 * system call as the signal that it is.
 */
export function solo5Spt(program: string, argv: readonly string[], own = false): never {
  return invokeSolo5(
    program,
    "spt",
    argv,
    ({ image, unikernel, args, options, open, warn }) => {
      const { memory, execHeap } = options;
      if (execHeap) warn("warning: the guest may execute all of its memory (--x-exec-heap)");
      const attachments = open();
      const user = chooseUser(undefined);
      return execSpt({
        image,
        unikernel,
        memory,
        args,
        attachments,
        user,
        execHeap,
        complaint: `${program}: `,
      });
    },
    own,
  );
}
