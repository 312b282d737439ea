/** The processor architectures that robur runs on, by the field's names. */
export type Architecture = "x86_64" | "aarch64";

/** The architecture of this process. */
export const HOST_ARCHITECTURE: Architecture = process.arch === "arm64" ? "aarch64" : "x86_64";
