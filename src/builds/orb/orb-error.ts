import { RoburError } from "../../lib/errors.ts";

export type OrbErrorCode =
  /** orb's own errors: exit status 1. */
  | "failed"
  /** opam's: its exit status. */
  | "opam"
  /** Built, and not the same: exit status 3. */
  | "differs"
  | "interrupted";

/** What ends an orb run. */
export class OrbError extends RoburError<OrbErrorCode> {
  readonly exitStatus: number;
  constructor(
    code: OrbErrorCode,
    message: string,
    more: { why?: string; hint?: string; exitStatus?: number } = {},
  ) {
    super(code, message, more);
    this.exitStatus = more.exitStatus ?? { failed: 1, opam: 1, differs: 3, interrupted: 130 }[code];
  }
}
