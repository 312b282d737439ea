/** `robur user`: users, straight in the database, so that it works without a server and without a password. */
import type { Database } from "bun:sqlite";
import yargs, { type Argv } from "yargs";
import { databasePath, openDatabase } from "../db/open.ts";
import { dataDirectory } from "../lib/data-directory.ts";
import { UsageError } from "../lib/errors.ts";
import { print, readInto } from "../linux/libc.ts";
import { recordLocal } from "../server/accounts/audit.ts";
import { hashPassword } from "../server/accounts/passwords.ts";
import { type User, addUser, listUsers, removeUser, setPassword } from "../server/accounts/users.ts";
import { parse } from "./parse.ts";
import { formatTable, formatTime } from "./table.ts";

const withName = <T>(y: Argv<T>) => y.positional("name", { type: "string", demandOption: true });
const withPassword = <T>(y: Argv<T>) =>
  y.option("password-stdin", {
    type: "boolean",
    default: false,
    describe: "the password is standard input's first line",
  });

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("what about users?", { hint: "robur user ls" });
  const parser = yargs([...argv])
    .scriptName("robur user")
    .locale("en")
    .version(false)
    .usage(
      "robur user COMMAND\n\nThe people who use this server. Needs the data directory, not a running server.",
    )
    .option("data-dir", { type: "string", describe: "the server's data directory" })
    .command(
      "add <name>",
      "Add a user, bound to a path, or an administrator",
      (y) =>
        withPassword(withName(y))
          .option("admin", { type: "boolean", default: false, describe: "may do everything" })
          .option("path", {
            type: "string",
            describe: "sees and touches this path only (default: the name)",
          }),
      async (flags) => {
        const passwordHash = flags.passwordStdin ? await hashPassword(readPassword()) : undefined;
        if (flags.admin && passwordHash === undefined) {
          throw new UsageError("an administrator needs a password", {
            hint: `robur user add ${flags.name} --admin --password-stdin`,
          });
        }
        change(flags.dataDir, "user.add", flags.name, (db, now) => {
          const role = flags.admin ? "admin" : "user";
          const user = addUser(db, { name: flags.name, role, path: flags.path, passwordHash }, now);
          print(`${user.name}\n`);
        });
      },
    )
    .command(
      "ls",
      "List users",
      (y) => y.option("format", { choices: ["table", "json", "jsonl"] as const, default: "table" as const }),
      ({ dataDir, format }) => list(dataDir, format),
    )
    .command(
      "passwd <name>",
      "Set a password; the user's sessions end",
      (y) => withPassword(withName(y)),
      async (flags) => {
        if (!flags.passwordStdin) {
          throw new UsageError("where does the password come from?", {
            hint: `robur user passwd ${flags.name} --password-stdin`,
          });
        }
        const hash = await hashPassword(readPassword());
        change(flags.dataDir, "user.password", flags.name, (db, now) =>
          setPassword(db, flags.name, hash, now),
        );
      },
    )
    .command(
      "rm <name>",
      "Remove a user; the unikernels stay",
      (y) => withName(y),
      (flags) => change(flags.dataDir, "user.remove", flags.name, (db) => removeUser(db, flags.name)),
    )
    .example("robur user add alice --admin --password-stdin < FILE", "an administrator")
    .example("robur user add bob --path family:bob --password-stdin < FILE", "a user")
    .recommendCommands()
    .strict()
    .demandCommand(1, "which of them?")
    .help()
    .alias("help", "h")
    .wrap(null);
  await parse(parser);
}

function open(dataDir: string | undefined): Database {
  return openDatabase(databasePath(dataDirectory(dataDir, process.env, process.getuid?.() === 0)));
}

function change(
  dataDir: string | undefined,
  action: string,
  name: string,
  work: (db: Database, now: number) => unknown,
): void {
  const db = open(dataDir);
  try {
    work(db, Date.now());
    recordLocal(db, action, name, Date.now());
  } finally {
    db.close();
  }
}

function list(dataDir: string | undefined, format: "table" | "json" | "jsonl"): void {
  const db = open(dataDir);
  const users = listUsers(db);
  db.close();
  const rows = users.map(({ name, role, path, passwordHash, createdAt }) => ({
    ...{ name, role, path, createdAt },
    canSignIn: passwordHash !== undefined,
  }));
  if (format === "json") print(`${JSON.stringify(rows, null, 2)}\n`);
  if (format === "jsonl") print(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  if (format === "table") print(formatTable(COLUMNS, users));
}

const COLUMNS = [
  { title: "NAME", text: ({ name }: User) => name },
  { title: "ROLE", text: ({ role }: User) => role },
  { title: "PATH", text: ({ path }: User) => (path === "" ? "everything" : path) },
  { title: "SIGNS IN", text: ({ passwordHash }: User) => (passwordHash === undefined ? "no" : "yes") },
  { title: "SINCE", text: ({ createdAt }: User) => formatTime(createdAt) },
];

/** The first line of standard input. */
function readPassword(): string {
  const bytes = new Uint8Array(4096);
  let length = 0;
  for (
    let count = 1;
    count > 0 && length < bytes.length && !bytes.subarray(0, length).includes(10);
    length += count
  ) {
    count = Math.max(0, readInto(0, bytes.subarray(length), bytes.length - length));
  }
  const [line = ""] = new TextDecoder().decode(bytes.subarray(0, length)).split(/\r?\n/, 1);
  if (line === "")
    throw new UsageError("standard input has no password", { hint: "--password-stdin < FILE" });
  return line;
}
