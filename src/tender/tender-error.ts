import { RoburError } from "../lib/errors.ts";

/** Everything that keeps a unikernel from starting, or ends one that runs, other than the image itself. */
export type TenderErrorCode =
  /** A device was given that the image doesn't declare. */
  | "not-declared"
  /** The image declares devices that were not given. */
  | "not-attached"
  | "bad-option"
  | "bad-memory"
  | "arguments-too-long"
  | "net-device"
  | "block-device"
  | "kvm-missing"
  | "kvm-not-permitted"
  | "kvm-failed"
  | "sandbox-failed"
  | "qemu-missing"
  | "unknown-user"
  | "privileges"
  | "core-directory"
  /** A running guest did what no guest may do: an address outside of its memory, a write to its own code. */
  | "guest-fault"
  /** The guest asked for something that the processor or KVM can't do. */
  | "unhandled-exit"
  /** A device failed while the guest ran. */
  | "device-failed";

export class TenderError extends RoburError<TenderErrorCode> {}
