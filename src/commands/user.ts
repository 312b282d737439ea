/** `robur user`: users, straight in the database, so that it works without a server and without a password. */
import type { Database } from "bun:sqlite";
import yargs, { type Argv } from "yargs";
import { UsageError } from "../lib/errors.ts";
import { print } from "../linux/libc.ts";
import { recordLocal } from "../server/accounts/audit.ts";
import { hashPassword } from "../server/accounts/passwords.ts";
import {
  type User,
  addUser,
  changeUser,
  disableUser,
  listUsers,
  removeUser,
  setPassword,
} from "../server/accounts/users.ts";
import { parse } from "./parse.ts";
import { readPassword } from "./password.ts";
import { openServerDatabase } from "./server-database.ts";
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
          })
          .option("uploads", { ...UPLOADS, default: "listed" as const }),
      async (flags) => {
        const passwordHash = flags.passwordStdin ? await hashPassword(readPassword()) : undefined;
        if (flags.admin && passwordHash === undefined) {
          throw new UsageError("an administrator needs a password", {
            hint: `robur user add ${flags.name} --admin --password-stdin`,
          });
        }
        change(flags.dataDir, "user.add", flags.name, (db, now) => {
          const role = flags.admin ? "admin" : "user";
          const { name, path, uploads } = flags;
          const user = addUser(db, { name, role, path, uploads, passwordHash }, now);
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
      "uploads <name> <uploads>",
      "Of which jobs a user may upload builds: none, those of robur user access, or any",
      (y) => withName(y).positional("uploads", { ...UPLOADS, demandOption: true }),
      ({ dataDir, name, uploads }) =>
        change(dataDir, "user.change", name, (db) => changeUser(db, name, { uploads })),
    )
    .command(
      "access <command>",
      "List the jobs of which a user may upload builds, and change the list",
      (y) => withAccess(y),
    )
    .command(
      "disable <name>",
      "Take password, sessions, tokens and uploads away; the user stays, and robur user passwd lets in again",
      (y) => withName(y),
      (flags) => change(flags.dataDir, "user.disable", flags.name, (db) => disableUser(db, flags.name)),
    )
    .command(
      "rm <name>",
      "Remove a user; the unikernels stay",
      (y) => withName(y),
      (flags) => change(flags.dataDir, "user.remove", flags.name, (db) => removeUser(db, flags.name)),
    )
    .example("robur user add alice --admin --password-stdin < FILE", "an administrator")
    .example("robur user add bob --path family:bob --password-stdin < FILE", "a user")
    .example("robur user access add ci hello", "ci may upload builds of hello")
    .recommendCommands()
    .strict()
    .demandCommand(1, "which of them?")
    .help()
    .alias("help", "h")
    .wrap(null);
  await parse(parser);
}

const UPLOADS = {
  choices: ["none", "listed", "any"] as const,
  describe: "of which jobs builds may be uploaded",
} as const;

function withAccess<T extends { "data-dir": string | undefined }>(y: Argv<T>) {
  const job = { type: "string", demandOption: true } as const;
  const verbs = () => import("./user-access.ts");
  return y
    .command(
      "ls <name>",
      "The jobs of a user's list",
      (y) => withName(y),
      async ({ dataDir, name }) => inDatabase(dataDir, (await verbs()).list, name),
    )
    .command(
      "add <name> <job>",
      "Put a job on it",
      (y) => withName(y).positional("job", job),
      async ({ dataDir, name, job }) => {
        const { add } = await verbs();
        change(dataDir, "upload-access.add", name, (db) => add(db, name, job));
      },
    )
    .command(
      "rm <name> <job>",
      "Take a job off it",
      (y) => withName(y).positional("job", job),
      async ({ dataDir, name, job }) => {
        const { remove } = await verbs();
        change(dataDir, "upload-access.remove", name, (db) => remove(db, name, job));
      },
    )
    .demandCommand(1, "which of them?");
}

function inDatabase(
  dataDir: string | undefined,
  work: (db: Database, name: string) => void,
  name: string,
): void {
  const db = openServerDatabase(dataDir);
  try {
    work(db, name);
  } finally {
    db.close();
  }
}

function change(
  dataDir: string | undefined,
  action: string,
  name: string,
  work: (db: Database, now: number) => unknown,
): void {
  const db = openServerDatabase(dataDir);
  try {
    work(db, Date.now());
    recordLocal(db, action, name, Date.now());
  } finally {
    db.close();
  }
}

function list(dataDir: string | undefined, format: "table" | "json" | "jsonl"): void {
  const db = openServerDatabase(dataDir);
  const users = listUsers(db);
  db.close();
  const rows = users.map(({ name, role, path, uploads, passwordHash, createdAt }) => ({
    ...{ name, role, path, uploads, createdAt },
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
  { title: "UPLOADS", text: ({ role, uploads }: User) => (role === "admin" ? "any" : uploads) },
  { title: "SIGNS IN", text: ({ passwordHash }: User) => (passwordHash === undefined ? "no" : "yes") },
  { title: "SINCE", text: ({ createdAt }: User) => formatTime(createdAt) },
];
