import { HOST_ARCHITECTURE } from "../../../src/lib/architecture.ts";
import { compilerVersion } from "../../guests/build.ts";

/** Why the spt test guests can't run here, or undefined where they can. */
export function needsSptGuests(): string | undefined {
  if (HOST_ARCHITECTURE !== "x86_64") return "the spt test guests are for x86_64";
  return compilerVersion() === undefined ? "gcc is missing, which builds the test guests" : undefined;
}
