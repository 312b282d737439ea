// An orchestrator on a directory of its own, with real guests, for the tests in this folder.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { databasePath, openDatabase } from "../../src/db/open.ts";
import { instanceOf } from "../../src/network/names.ts";
import type {
  Actor,
  ConsoleItem,
  Outcome,
  Sha256,
  Started,
  UnikernelConfig,
  UnikernelName,
} from "../../src/orchestrator/api.ts";
import { type Attachments, fileAttachments } from "../../src/orchestrator/attachments.ts";
import { ROOT_PATH, parseName } from "../../src/orchestrator/names.ts";
import {
  type OpenOrchestrator,
  type OrchestratorOptions,
  openOrchestrator,
} from "../../src/orchestrator/orchestrator.ts";
import { findTenders } from "../../src/orchestrator/process/identity.ts";
import { type Target, buildGuest } from "../guests/build.ts";

export const ADMIN: Actor = { who: "test", path: ROOT_PATH };

export function name(text: string): UnikernelName {
  const parsed = parseName(text);
  if (parsed === undefined) throw new Error(`no name: ${text}`);
  return parsed;
}

export function value<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.refusal.code}: ${outcome.refusal.message}`);
  return outcome.value;
}

export function refusal<T>(outcome: Outcome<T>): string {
  return outcome.ok ? "ok" : outcome.refusal.code;
}

export interface Lab extends AsyncDisposable {
  readonly directory: string;
  readonly instance: string;
  orchestrator: OpenOrchestrator;
  open(more?: Partial<OrchestratorOptions>): OpenOrchestrator;
  /** Ends the orchestrator as if it had been stopped, and leaves what runs. */
  close(): Promise<void>;
  put(guest: string, target?: Target): Promise<Sha256>;
  run(unikernel: string, guest: string, config?: Partial<UnikernelConfig>, target?: Target): Promise<Started>;
  log(unikernel: string): string[];
  tenders(): number[];
}

export function makeLab(options: Partial<OrchestratorOptions> = {}): Lab {
  const directory = mkdtempSync(join(tmpdir(), "robur-orchestrator-"));
  const instance = instanceOf(directory);
  const attachments: Attachments = fileAttachments((volume) => join(directory, volume));
  let db = openDatabase(databasePath(directory));
  const open = (more: Partial<OrchestratorOptions> = {}) =>
    openOrchestrator({ db, dataDirectory: directory, attachments, useCgroups: false, ...options, ...more });
  const images = new Map<string, Sha256>();
  const lab: Lab = {
    directory,
    instance,
    orchestrator: open(),
    open(more) {
      db = openDatabase(databasePath(directory));
      lab.orchestrator = open(more);
      return lab.orchestrator;
    },
    async close() {
      await lab.orchestrator.shutdown();
      db.close();
    },
    async put(guest, target = "spt") {
      const known = images.get(`${guest}.${target}`);
      if (known !== undefined) return known;
      const bytes = readFileSync(await buildGuest(guest, target));
      const { sha256 } = value(await lab.orchestrator.images.put(ADMIN, bytes));
      images.set(`${guest}.${target}`, sha256);
      return sha256;
    },
    async run(unikernel, guest, config = {}, target = "spt") {
      const image = await lab.put(guest, target);
      const asked = { memoryMb: 8, addName: false, ...config };
      return value(await lab.orchestrator.create(ADMIN, { name: name(unikernel), image, config: asked }));
    },
    log(unikernel) {
      const page = value(lab.orchestrator.console.read(ADMIN, name(unikernel)));
      return texts(page.items);
    },
    tenders: () => [...findTenders(instance).values()].map(({ pid }) => pid),
    async [Symbol.asyncDispose]() {
      await lab.orchestrator.shutdown();
      db.close();
      endTenders(instance);
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return lab;
}

export function texts(items: readonly ConsoleItem[]): string[] {
  return items.map((item) =>
    item.kind === "line" ? new TextDecoder().decode(item.line.bytes) : `gap ${item.from} ${item.to}`,
  );
}

/** Ends every tender of one instance, each by its number. */
export function endTenders(instance: string): void {
  for (const { pid } of findTenders(instance).values()) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It was quicker.
    }
  }
}

export { until } from "../robur.ts";

/** How many descriptors this process has open. */
export function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}
