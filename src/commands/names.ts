/**
 * `robur __names KIND`: hidden; the names that shell completion offers, one a line. It answers within 200 ms or not
 * at all, and never says what is wrong: somebody is typing.
 */
import { isatty } from "node:tty";
import { print } from "../linux/libc.ts";
import { connect } from "./client/connect.ts";
import { NAME_KINDS } from "./completion/kinds.ts";

const LIMIT_MS = 200;

/** The entry of the command. */
export async function main([wanted]: readonly string[]): Promise<void> {
  const kind = NAME_KINDS.find((kind) => kind === wanted);
  if (kind === undefined) return;
  try {
    const client = connect(undefined);
    const response = await client.request(`/api/v1/${kind}`, { signal: AbortSignal.timeout(LIMIT_MS) });
    const { [kind]: rows } = (await response.json()) as Record<string, readonly Record<string, unknown>[]>;
    const names = (rows ?? []).map(({ name, path, sha256 }) =>
      typeof sha256 === "string"
        ? `sha256:${sha256.slice(0, 12)}`
        : String(name ?? (path === "" ? ":" : path)),
    );
    print(names.map((name) => `${name}\n`).join(""));
  } catch (error) {
    // Only somebody who calls this by hand wants to know.
    if (isatty(1)) throw error;
  }
}
