// A server reduced to its orchestrator: commands as JSON lines on standard input, answers on standard output. The
// tests kill it. Arguments: the data directory.
import { join } from "node:path";
import { databasePath, openDatabase } from "../../src/db/open.ts";
import { lockForServer } from "../../src/db/server-lock.ts";
import type { Orchestrator, Sha256 } from "../../src/orchestrator/api.ts";
import { fileAttachments } from "../../src/orchestrator/attachments.ts";
import { ROOT_PATH, parseName } from "../../src/orchestrator/names.ts";
import { openOrchestrator } from "../../src/orchestrator/orchestrator.ts";

export type Command =
  | { do: "create"; name: string; image: string; args: string[]; start: boolean; restart: "always" | "no" }
  | { do: "start" | "stop" | "restart" | "remove" | "inspect" | "console"; name: string }
  | { do: "list" | "shutdown" };

const ADMIN = { who: "test", path: ROOT_PATH };

async function perform(orchestrator: Orchestrator, command: Command): Promise<unknown> {
  if (command.do === "list") return orchestrator.list(ADMIN);
  if (command.do === "shutdown") {
    await orchestrator.shutdown();
    process.exit(0);
  }
  if (!("name" in command)) throw new TypeError(`no such command: ${JSON.stringify(command)}`);
  const name = parseName(command.name)!;
  switch (command.do) {
    case "create": {
      const { image, args, start, restart } = command;
      const config = { memoryMb: 8, addName: false, args, restart: { kind: restart } };
      return orchestrator.create(ADMIN, { name, image: image as Sha256, config, start });
    }
    case "start":
      return orchestrator.start(ADMIN, name);
    case "stop":
      return orchestrator.stop(ADMIN, name);
    case "restart":
      return orchestrator.restart(ADMIN, name);
    case "remove":
      return orchestrator.remove(ADMIN, name, { force: true });
    case "inspect":
      return orchestrator.inspect(ADMIN, name);
    case "console": {
      const page = orchestrator.console.read(ADMIN, name, { tail: 500 });
      if (!page.ok) return page;
      return page.value.items.map((item) =>
        item.kind === "line" ? new TextDecoder().decode(item.line.bytes) : "",
      );
    }
  }
}

async function main(directory: string): Promise<void> {
  const path = databasePath(directory);
  const db = openDatabase(path);
  using _lock = lockForServer(path);
  const attachments = fileAttachments((volume) => join(directory, volume));
  const orchestrator = openOrchestrator({ db, dataDirectory: directory, attachments, useCgroups: false });
  const answer = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
  await orchestrator.recovered;
  answer({ ready: true });
  for await (const line of console) {
    const { id, command } = JSON.parse(line) as { id: number; command: Command };
    void perform(orchestrator, command).then(
      (value) => answer({ id, value }),
      (error: unknown) => answer({ id, error: String(error) }),
    );
  }
}

if (import.meta.main) await main(process.argv[2]!);
