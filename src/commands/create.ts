/** `robur create`: a unikernel that the server looks after. */
import { writeFileSync } from "node:fs";
import { type ConfigFlags, readConfigFlags, withConfigFlags } from "./client/config-flags.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { parseImageRef, provideImage } from "./client/image-ref.ts";
import { clientParser, guestArguments, parseClient } from "./client/parser.ts";
import { type StartedAnswer, tellStarted } from "./client/started.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = withConfigFlags(
    clientParser(
      "robur create",
      "robur create NAME IMAGE [flags] [-- ARGUMENTS]\n\nMakes a unikernel and starts it, under the server's care. IMAGE is a file, sha256:… of an image\nthat the server has, an address, or job:NAME of a build. Answers when the guest runs or has failed.",
      argv,
    ),
  )
    .command("$0 <name> <image>", false, (y) =>
      y
        .positional("name", { type: "string", demandOption: true })
        .positional("image", { type: "string", demandOption: true }),
    )
    .option("replace", { type: "boolean", default: false, describe: "one of this name gives its place" })
    .option("no-start", { type: "boolean", default: false, describe: "make it, and don't start it" })
    .option("no-wait", { type: "boolean", default: false, describe: "answer at once" })
    .option("idfile", { type: "string", requiresArg: true, describe: "write its id to this file" })
    .option("quiet", { alias: "q", type: "boolean", default: false, describe: "print the name only" })
    .option("json", { type: "boolean", default: false, describe: "print the answer as JSON" })
    .example("robur create hello hello.spt", "the built-in unikernel")
    .example(
      "robur create web web.hvt -m 64M -p 8080:443 -- --tls=true",
      "with a published port and arguments",
    );
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const { name, image } = flags as typeof flags & { name: string; image: string };
  const answer = await createUnikernel(connect(flags.host), {
    ...{ name, image, flags, args: guestArguments(flags) },
    ...{ replace: flags.replace, start: !flags.noStart, wait: !flags.noWait },
  });
  if (flags.idfile !== undefined) writeFileSync(flags.idfile, `${answer.unikernel.id}\n`);
  tellStarted(answer, flags);
}

export interface CreateOptions {
  readonly name: string;
  /** As typed: a file, `sha256:…`, an address. */
  readonly image: string;
  readonly flags: ConfigFlags;
  readonly args: readonly string[] | undefined;
  readonly replace?: boolean;
  readonly start?: boolean;
  readonly wait?: boolean;
}

/** Sends the image where the server lacks it, and creates; also what `robur run -d` does. Throws ClientError. */
export async function createUnikernel(client: Client, options: CreateOptions): Promise<StartedAnswer> {
  const { name, image, flags, args, replace = false, start = true, wait = true } = options;
  // What is wrong with the flags is found out before an image is sent.
  const config = readConfigFlags(flags, args);
  const { sha256 } = await provideImage(client, parseImageRef(image));
  const request = { name, image: sha256, config, start, replace, wait: wait ? "started" : "no" } as const;
  return ask(client, client.api.unikernels.post(request as never)) as Promise<StartedAnswer>;
}
