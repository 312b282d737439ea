/** `robur token`: tokens for programs, straight in the database. */
import type { Database } from "bun:sqlite";
import yargs, { type Argv } from "yargs";
import { UsageError } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import { AccountError } from "../server/accounts/account-error.ts";
import { recordLocal } from "../server/accounts/audit.ts";
import { SCOPES, type Token, createToken, listTokens, removeToken } from "../server/accounts/tokens.ts";
import { findUser } from "../server/accounts/users.ts";
import { parse } from "./parse.ts";
import { openServerDatabase } from "./server-database.ts";
import { formatTable, formatTime } from "./table.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("what about tokens?", { hint: "robur token ls" });
  const parser = yargs([...argv])
    .scriptName("robur token")
    .locale("en")
    .version(false)
    .usage(
      "robur token COMMAND\n\nTokens let programs use the API in a user's name. Needs the data directory, not a running server.",
    )
    .option("data-dir", { type: "string", describe: "the server's data directory" })
    .command(
      "create <user> <name>",
      "Make a token, and print it for the only time",
      (y) => withCreate(y),
      (flags) => {
        const expiresAt = readExpiry(flags.expires, Date.now());
        withDatabase(flags.dataDir, (db) => {
          const user = findUser(db, flags.user);
          if (user === undefined)
            throw new AccountError("missing", `there is no user ${flags.user}`, { hint: "robur user ls" });
          const wanted = { name: flags.name, scopes: flags.scope, path: flags.path, expiresAt };
          const { token, secret } = createToken(db, user, wanted, Date.now());
          recordLocal(db, "token.create", `${user.name} ${token.name}`, Date.now());
          printError(
            `robur: ${token.scopes.join(", ")}${expiresAt === undefined ? ", does not expire" : `, until ${formatTime(expiresAt)}`}\n`,
          );
          print(`${secret}\n`);
        });
      },
    )
    .command(
      "ls",
      "List tokens",
      (y) => y.option("format", { choices: ["table", "json", "jsonl"] as const, default: "table" as const }),
      ({ dataDir, format }) => withDatabase(dataDir, (db) => list(listTokens(db), format)),
    )
    .command(
      "rm <id>",
      "Remove a token",
      (y) => y.positional("id", { type: "string", demandOption: true }),
      ({ dataDir, id }) =>
        withDatabase(dataDir, (db) => {
          if (!removeToken(db, id))
            throw new AccountError("missing", `there is no token ${id}`, { hint: "robur token ls" });
          recordLocal(db, "token.remove", id, Date.now());
        }),
    )
    .example("robur token create alice ci --scope write --expires 90d", "for a CI job that deploys")
    .example("robur token create alice prometheus --scope metrics --expires never", "to be scraped")
    .recommendCommands()
    .strict()
    .demandCommand(1, "which of them?")
    .help()
    .alias("help", "h")
    .wrap(null);
  await parse(parser);
}

function withCreate<T>(y: Argv<T>) {
  return y
    .positional("user", { type: "string", demandOption: true })
    .positional("name", { type: "string", demandOption: true })
    .option("scope", { choices: SCOPES, array: true, default: ["read"], describe: "what it may do" })
    .option("path", { type: "string", describe: "at most this path (default: the user's own)" })
    .option("expires", { type: "string", default: "90d", describe: "12h, 90d, or never" });
}

/** Milliseconds since 1970; undefined for never. Throws UsageError. */
function readExpiry(text: string, now: number): number | undefined {
  if (text === "never") return undefined;
  const [, count, unit] = /^(\d{1,5})([hd])$/.exec(text) ?? [];
  if (count === undefined)
    throw new UsageError(`--expires ${text}: not a span of time`, { hint: "--expires 90d" });
  return now + Number(count) * (unit === "h" ? 3_600_000 : 86_400_000);
}

function withDatabase(dataDir: string | undefined, work: (db: Database) => void): void {
  const db = openServerDatabase(dataDir);
  try {
    work(db);
  } finally {
    db.close();
  }
}

const COLUMNS = [
  { title: "ID", text: ({ id }: Token) => id },
  { title: "USER", text: ({ user }: Token) => user },
  { title: "NAME", text: ({ name }: Token) => name },
  { title: "SCOPES", text: ({ scopes }: Token) => scopes.join(",") },
  { title: "PATH", text: ({ path }: Token) => (path === "" ? "everything" : path) },
  {
    title: "EXPIRES",
    text: ({ expiresAt }: Token) => (expiresAt === undefined ? "never" : formatTime(expiresAt)),
  },
  { title: "LAST USED", text: ({ usedAt }: Token) => (usedAt === undefined ? "never" : formatTime(usedAt)) },
];

function list(tokens: readonly Token[], format: "table" | "json" | "jsonl"): void {
  if (format === "json") print(`${JSON.stringify(tokens, null, 2)}\n`);
  if (format === "jsonl") print(tokens.map((token) => `${JSON.stringify(token)}\n`).join(""));
  if (format === "table") print(formatTable(COLUMNS, tokens));
}
