/** `robur verify`: who vouches for a file. Works without a server when statements and keys are given. */
import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import { RoburError, UsageError, visible } from "../lib/errors.ts";
import { type Sha256, parseSha256, sha256Text } from "../lib/sha256.ts";
import { print } from "../linux/libc.ts";
import { type PublicKey, formatPublicKey, parsePublicKey } from "../trust/keys.ts";
import { fetchFromRebuilderd, fetchStatements } from "../trust/statement-sources.ts";
import { type FileVerdict, weigh } from "../trust/verdict.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { readKey } from "./trust.ts";

interface NamedKey {
  readonly name: string;
  readonly key: PublicKey;
}

class VerifyError extends RoburError<"missing" | "no-server"> {}

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const flags = await parseClient(
    clientParser(
      "robur verify",
      "robur verify FILE|SHA256\n\nSays which trusted keys vouch for a file: whoever built it, and whoever built the same one again. Exit status 0: enough of them; 1: not.",
      argv,
    )
      .command("$0 <target>", false, (y) => y.positional("target", { type: "string", demandOption: true }))
      .option("by", {
        ...{ type: "string", array: true, nargs: 1, requiresArg: true },
        describe: "count this key only: a trusted one's name, ed25519:…, or a file with it; repeatable",
      } as const)
      .option("require", {
        ...{ type: "number", default: 1, requiresArg: true },
        describe: "so many different keys must vouch for it",
      } as const)
      .option("statements", {
        ...{ type: "string", array: true, nargs: 1, requiresArg: true },
        describe: "a file with statements, one a line, instead of asking the server; repeatable",
      } as const)
      .option("from", {
        ...{ type: "string", array: true, nargs: 1, requiresArg: true },
        describe: "ask this robur server too; repeatable",
      } as const)
      .option("rebuilderd", {
        ...{ type: "string", array: true, nargs: 1, requiresArg: true },
        describe: "ask this rebuilderd too, by the file's name; repeatable",
      } as const)
      .option("json", { type: "boolean", default: false, describe: "as JSON" })
      .example("robur verify website.hvt --require 2", "is it what two of those say that I trust?")
      .example(
        "robur verify website.hvt --by robur.pub --statements website.hvt.jsonl",
        "the same without any server",
      ),
  );
  if (flags === undefined) return;
  const target = String((flags as Readonly<Record<string, unknown>>)["target"]);
  if (!Number.isSafeInteger(flags.require) || flags.require < 1) {
    throw new UsageError("--require needs a whole number from 1");
  }
  const sha256 = await hashOf(target);
  const by = flags.by ?? [];
  const files = flags.statements ?? [];
  const remotes = flags.from ?? [];
  const rebuilders = flags.rebuilderd ?? [];
  if (rebuilders.length > 0 && !isFile(target)) {
    throw new UsageError("--rebuilderd needs the file", { why: "a rebuilderd is asked by the file's name" });
  }
  const client = connect(flags.host);
  const keys = await keysFor(client, by);
  const statements = files.flatMap((file) => linesOf(file));
  if (files.length === 0) {
    const others = remotes.length + rebuilders.length;
    statements.push(...(await statementsOfServer(client, sha256, others > 0)));
  }
  for (const origin of remotes) statements.push(...(await fetchStatements(origin, sha256)));
  for (const origin of rebuilders) statements.push(...(await fetchFromRebuilderd(origin, basename(target))));
  const verdict = weigh(
    sha256,
    // Several servers may have the same one.
    [...new Set(statements)],
    keys.map(({ key }) => key),
    flags.require,
  );
  print(
    flags.json ? `${JSON.stringify(asJson(verdict, keys), null, 2)}\n` : asText(verdict, keys, flags.require),
  );
  if (!verdict.isEnough) process.exitCode = 1;
}

/** The file's SHA-256; a text of 64 digits is one, unless there is a file of that name. Throws VerifyError. */
async function hashOf(target: string): Promise<Sha256> {
  const known = parseSha256(target);
  if (known !== undefined && !isFile(target)) return known;
  if (!isFile(target)) {
    throw new VerifyError("missing", `there is no file ${target}`, { hint: "a file, or its SHA-256" });
  }
  const hash = new Bun.CryptoHasher("sha256");
  for await (const part of Bun.file(target).stream()) hash.update(part);
  return sha256Text(new Uint8Array(hash.digest()));
}

const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

/** The keys that count: those that were named, else all that the server trusts, and its own. */
async function keysFor(client: Client, wanted: readonly string[]): Promise<NamedKey[]> {
  // A server is asked only for what it alone knows.
  const isName = (text: string) => !text.startsWith("ed25519:") && !isFile(text);
  const known = wanted.length === 0 || wanted.some(isName) ? await keysOfServer(client) : [];
  if (wanted.length === 0) return known;
  return wanted.map((text) => {
    const named = isName(text) ? known.find(({ name, key }) => name === text || key.id === text) : undefined;
    if (named !== undefined) return named;
    if (isName(text)) {
      throw new VerifyError("missing", `no key ${text} is trusted`, { hint: "robur trust ls" });
    }
    return { name: text, key: readKey(text) };
  });
}

async function keysOfServer(client: Client): Promise<NamedKey[]> {
  try {
    const [trusted, own] = await Promise.all([
      ask(client, client.api.trust.keys.get()),
      ask(client, client.api.trust.own.get()),
    ]);
    const all = [...own.keys.map(({ key }) => ({ name: "this server", key })), ...trusted.keys];
    // One that is trusted under a name of its own is one key all the same.
    const byId = new Map(all.map(({ name, key }) => [key, { name, key: parsePublicKey(key) }]));
    return [...byId.values()];
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== "no-server") throw error;
    throw new VerifyError("no-server", "no server says whose word counts", {
      why: error.why ?? error.message,
      hint: "--by KEY, and --statements FILE: that needs none",
      cause: error,
    });
  }
}

/** `isSpare`: others are asked as well, so there need be none. */
async function statementsOfServer(client: Client, sha256: Sha256, isSpare: boolean): Promise<string[]> {
  try {
    const answer = await client.request(`/api/v1/attestations?sha256=${sha256}`);
    return split(await answer.text());
  } catch (error) {
    if (isSpare && error instanceof ClientError && error.code === "no-server") return [];
    throw error;
  }
}

function linesOf(path: string): string[] {
  try {
    return split(readFileSync(path, "utf8"));
  } catch (error) {
    throw new VerifyError("missing", `${path} can't be read`, {
      why: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
}

/** One statement a line; one that is spread over lines is one all the same. */
function split(text: string): string[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines[0]?.trim() === "{" ? [text] : lines;
}

function asText(
  { sha256, findings, vouchers, isEnough }: FileVerdict,
  keys: readonly NamedKey[],
  required: number,
) {
  const nameOf = (id: string) => keys.find(({ key }) => key.id === id)?.name ?? id;
  const lines = findings.map((finding) => {
    if (!finding.isGood) return `  doesn't count: ${finding.why}`;
    const what = finding.kind === "provenance" ? "built" : "built again";
    return `  ${what} by ${finding.signers.map(nameOf).join(", ")} as ${finding.name}`;
  });
  const end = isEnough
    ? `verified: ${vouchers.length} of ${keys.length} trusted keys vouch for it`
    : `not verified: ${vouchers.length} of the ${required} that are needed vouch for it`;
  const none = findings.length === 0 ? ["  nobody says anything about it"] : [];
  return visible(`sha256 ${sha256}\n${[...lines, ...none, end].join("\n")}\n`);
}

function asJson({ sha256, findings, vouchers, isEnough }: FileVerdict, keys: readonly NamedKey[]) {
  const nameOf = (id: string) => keys.find(({ key }) => key.id === id)?.name ?? id;
  return {
    sha256,
    isEnough,
    vouchers: vouchers.map((id) => ({ id, name: nameOf(id) })),
    keys: keys.map(({ name, key }) => ({ name, id: key.id, key: formatPublicKey(key) })),
    statements: findings,
  };
}
