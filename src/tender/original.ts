/** Running a unikernel under one of Solo5's own tenders, where it is installed. */
import { exitStatus, waitInForeground } from "./foreground.ts";
import { TenderError } from "./tender-error.ts";

/** Tenders that a user can ask for: the originals, or what is built in. */
export const TENDERS = ["builtin", "solo5-hvt", "solo5-spt"] as const;
export type TenderChoice = (typeof TENDERS)[number];

const FIRST_PASSED = 3;

/** A file of /proc that opens the `index`th descriptor which `runOriginal` passes on. */
export const passedPath = (index: number) => `/proc/self/fd/${FIRST_PASSED + index}`;
/** Its number in the tender's process. */
export const passedNumber = (index: number) => FIRST_PASSED + index;

/**
 * Runs `program` in the foreground and answers its exit status. `passed` are descriptors of this process that the
 * tender gets: so the image that was looked at is the one that runs, whatever its name stands for by then.
 * Throws TenderError bad-option where the program isn't installed.
 */
export async function runOriginal(
  program: string,
  args: readonly string[],
  passed: readonly number[],
): Promise<number> {
  const path = Bun.which(program);
  if (path === null) {
    throw new TenderError("bad-option", `--tender ${program}: it is not installed`, {
      why: "nothing of that name is on the PATH",
      hint: "leave --tender out: robur has its own",
    });
  }
  const child = Bun.spawn([path, ...args], { stdio: ["inherit", "inherit", "inherit", ...passed] });
  return exitStatus(await waitInForeground(child));
}
