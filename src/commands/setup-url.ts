/** `robur setup-url`: new set-up links for a server that has no administrator yet. */
import yargs from "yargs";
import { print } from "../linux/libc.ts";
import { parse } from "./parse.ts";
import { openServerDatabase } from "./server-database.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const flags = await parse(
    yargs([...argv])
      .scriptName("robur setup-url")
      .locale("en")
      .version(false)
      .usage(
        "robur setup-url\n\nPrints a link for each address of the server, which makes its administrator. A link works once,\nfor half an hour; older ones don't work any more.",
      )
      .option("data-dir", { type: "string", describe: "the server's data directory" })
      .example("robur setup-url", "open what it prints in a browser")
      .strict()
      .help()
      .alias("help", "h")
      .wrap(null),
  );
  if (flags === undefined) return;
  const [{ lastListen, setupUrls }, { recordLocal }] = await Promise.all([
    import("../server/first-start.ts"),
    import("../server/accounts/audit.ts"),
  ]);
  const db = openServerDatabase(flags.dataDir);
  try {
    const listen = lastListen(db) ?? { host: "127.0.0.1", port: 8080 };
    const urls = setupUrls(db, listen, Date.now());
    recordLocal(db, "server.setup-url", "", Date.now());
    print(`${urls.join("\n")}\n`);
  } finally {
    db.close();
  }
}
