/** What `robur sandbox` does. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { BUILT_IN_PLATFORMS } from "../builds/sandbox/platforms.ts";
import { currentRoot, makeRoot, removePlatform } from "../builds/sandbox/root-file-systems.ts";
import { openSandboxes } from "../builds/sandbox/sandboxes.ts";
import { UsageError } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import { parsePlatform } from "../store/api.ts";

/** A week: what is kept longer, `sweep` removes. */
const KEPT_MS = 7 * 24 * 3_600_000;

/** `robur sandbox ls`. */
export function list(dataDirectory: string, asJson: boolean): void {
  const directory = join(dataDirectory, "platforms");
  const own = existsSync(directory) ? readdirSync(directory) : [];
  const names = [...new Set([...BUILT_IN_PLATFORMS, ...own])].toSorted();
  const rows = names.map((name) => ({ platform: name, root: currentRoot(dataDirectory, name) }));
  if (asJson) {
    const json = rows.map(({ platform, root }) => ({
      platform,
      suite: root?.suite ?? null,
      createdAt: root?.createdAt ?? null,
      packagesSha256: root?.packagesSha256 ?? null,
      packages: root?.packages.split("\n").filter((line) => line !== "") ?? [],
    }));
    print(`${JSON.stringify(json, null, 2)}\n`);
    return;
  }
  const cells = rows.map(({ platform, root }) =>
    root === undefined
      ? [platform, "-", "-", "not made yet"]
      : [
          platform,
          new Date(root.createdAt).toISOString().slice(0, 16).replace("T", " "),
          String(root.packages.split("\n").length - 1),
          root.packagesSha256.slice(0, 12),
        ],
  );
  const all = [["PLATFORM", "MADE (UTC)", "PACKAGES", "SHA-256 OF THE LIST"], ...cells];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ");
  print(all.map((row) => `${line(row).trimEnd()}\n`).join(""));
}

/** `robur sandbox refresh`. Prints the SHA-256 of the package list. */
export async function refresh(dataDirectory: string, platform: string): Promise<void> {
  const onLine = (line: string) => printError(`${line}\n`);
  const root = await makeRoot(dataDirectory, checked(platform), { onLine, now: Date.now() });
  await openSandboxes({ dataDirectory }).sweep(KEPT_MS);
  print(`${root.packagesSha256}\n`);
}

/** `robur sandbox rm`. */
export async function remove(dataDirectory: string, platform: string): Promise<void> {
  await removePlatform(dataDirectory, checked(platform));
  await openSandboxes({ dataDirectory }).sweep(KEPT_MS);
  print(`${platform}\n`);
}

function checked(text: string): string {
  const platform = parsePlatform(text);
  if (platform !== undefined) return platform;
  throw new UsageError(`${JSON.stringify(text)} can't be a platform's name`, { hint: "debian-12" });
}
