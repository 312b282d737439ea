/** `robur run -d`: the same unikernel under the server's care. */
import { UsageError } from "../lib/errors.ts";
import { nameForImage } from "../network/names.ts";
import { connect } from "./client/connect.ts";
import { tellStarted } from "./client/started.ts";
import { createUnikernel } from "./create.ts";
import type { Scanned } from "./flags.ts";

/** Flags of `robur run` that mean the same to a server. */
const SHARED = new Set([
  "detach",
  "host",
  "restart",
  "name",
  "memory",
  "cpu",
  "net",
  "block",
  "block-sector-size",
  "publish",
]);

/**
 * Creates and starts the unikernel; prints its name, and what it said first to standard error. Throws UsageError for
 * flags that only a run in the foreground has, ClientError.
 */
export async function runDetached(file: string, args: readonly string[], { values }: Scanned): Promise<void> {
  for (const name of values.keys()) {
    if (SHARED.has(name)) continue;
    throw new UsageError(`--${name} is for a run in the foreground, not for -d`, {
      hint: "robur create --help",
    });
  }
  const last = (name: string) => values.get(name)?.at(-1);
  const nets = values.get("net");
  const descriptor = nets?.find((text) => text.includes("=@"));
  if (descriptor !== undefined) {
    throw new UsageError(`--net ${descriptor}: a descriptor can't be given to a server`);
  }
  const sectors = new Map(
    values.get("block-sector-size")?.map((text) => text.split("=", 2) as [string, string]),
  );
  const blocks = values.get("block")?.map((text) => {
    const sector = sectors.get(text.slice(0, Math.max(text.indexOf("="), 0)));
    return sector === undefined ? text : `${text},sector=${sector}`;
  });
  const answer = await createUnikernel(connect(last("host")), {
    name: last("name") ?? nameForImage(file),
    image: file,
    args,
    flags: {
      memory: last("memory"),
      cpu: last("cpu"),
      net: nets,
      block: blocks,
      publish: values.get("publish"),
      restart: last("restart"),
    },
  });
  tellStarted(answer, { quiet: false, json: false });
}
