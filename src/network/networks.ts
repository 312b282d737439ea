/**
 * Networks, as the rest of robur uses them. Every change goes the same way, under a lock that the processes of one
 * data directory share: records first, then the kernel is brought to what the records say. Killed in between, the
 * next one who comes finds records that nobody lives for any more, drops them, and the kernel follows.
 */
import type { Database } from "bun:sqlite";
import { O_CLOEXEC, O_CREAT, O_RDWR, OsError, close, open } from "../linux/libc.ts";
import { tryLock } from "../linux/sockets.ts";
import {
  type AttachPlan,
  type AttachRequest,
  needsNewNetwork,
  planAttach,
  planDetach,
} from "./attach-plan.ts";
import { applyChanges, changesBetween, isSamePort } from "./record-changes.ts";
import {
  bootId,
  interfaceNames,
  lookAtInterfaces,
  lookAtKernel,
  perform,
  readSysctl,
  stateOf,
  surroundingsOf,
  usedRanges,
} from "./kernel.ts";
import { dummyName, instanceOf } from "./names.ts";
import { NetworkError } from "./network-error.ts";
import { isAlive } from "./owner.ts";
import { type Action, type LinkKind, isGlobalSysctl, isOptional, planChanges, wantedState } from "./plan.ts";
import { checkPortFree } from "./ports.ts";
import { callProgram } from "./programs.ts";
import { release } from "./uplink.ts";
import type { LeaseRecord, Records, SysctlRecord, TapRecord } from "./records.ts";
import type { Changes } from "./record-changes.ts";
import { readRecords, writeRecords } from "./register.ts";

const LOCK_LIMIT_MS = 60_000;
const LOCK_PAUSE_MS = 5;

/** What a recovery found that nobody lives for any more. */
export interface Recovered {
  readonly taps: readonly string[];
  readonly networks: readonly string[];
}

interface DhcpRecord {
  readonly putLease?: LeaseRecord;
  readonly dropLeases?: readonly LeaseRecord[];
}

export class Networks {
  readonly instance: string;
  readonly #db: Database;
  readonly #lockPath: string;
  /** Changes of this process, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  /** `home` is the real path of the data directory, which makes the instance. */
  constructor(db: Database, home: string) {
    this.#db = db;
    this.instance = instanceOf(home);
    this.#lockPath = `${home}/networks.lock`;
  }

  records(): Records {
    return readRecords(this.#db);
  }

  /**
   * Puts a unikernel's devices on networks, making those that it needs, and publishes its ports. Throws NetworkError;
   * nothing is left of it then.
   */
  attach(request: AttachRequest): Promise<AttachPlan> {
    return this.exclusively(async () => {
      await this.#recover(false);
      const plan = await this.planAttach(request);
      await this.#change(this.records(), plan.changes);
      return plan;
    });
  }

  /** What `attach` would do; changes nothing. Throws NetworkError as it does. */
  async planAttach(request: AttachRequest): Promise<AttachPlan> {
    const records = this.records();
    // The unikernel's own taps of an earlier life give way.
    const mine = planDetach(records, ({ unikernel }) => unikernel === request.unikernel);
    const rest = applyChanges(records, mine);
    for (const port of request.ports) checkPortFree(port, rest.ports);
    const interfaces = interfaceNames();
    // Where all networks are known, there is no need to ask for routes and bridges.
    const isNew = needsNewNetwork(rest, request);
    const used = isNew ? await usedRanges() : [];
    const bridges = new Set(isNew ? await bridgesOfOthers(rest) : []);
    const plan = planAttach(rest, request, { now: Date.now(), used, interfaces, bridges });
    this.#checkBridges(plan, rest, interfaces);
    return { ...plan, changes: { ...plan.changes, ...mine } };
  }

  #checkBridges(plan: AttachPlan, records: Records, interfaces: ReadonlySet<string>): void {
    for (const { network } of plan.attached) {
      const record = records.networks.find(({ name }) => name === network);
      const isOthers = record !== undefined && (record.adopted || record.uplink !== null);
      if (!isOthers || interfaces.has(record.bridge)) continue;
      throw new NetworkError(
        "no-bridge",
        `the bridge ${record.bridge} of the network ${network} is not there`,
        {
          hint: record.adopted
            ? `ip link show ${record.bridge}: make it again, or: robur network rm ${network}`
            : `robur network rm ${network}, and create it again`,
        },
      );
    }
  }

  /** Takes a unikernel off its networks. What it was published with goes, what was published by name stays. */
  detach(unikernel: string): Promise<void> {
    return this.exclusively(async () => {
      const records = this.records();
      const changes = planDetach(records, (tap) => tap.unikernel === unikernel);
      await this.#change(records, changes);
    });
  }

  /** Writes down what a DHCP server promised; nothing in the kernel follows from it. */
  recordLease({ putLease, dropLeases = [] }: DhcpRecord): void {
    if (putLease === undefined && dropLeases.length === 0) return;
    writeRecords(this.#db, { dropLeases, putLeases: putLease === undefined ? [] : [putLease] });
  }

  /** The taps live as long as this process from now on. */
  handOver(unikernel: string, owner: TapRecord["owner"]): void {
    const taps = this.records().taps.filter((tap) => tap.unikernel === unikernel);
    writeRecords(this.#db, { putTaps: taps.map((tap) => ({ ...tap, owner })) });
  }

  /**
   * Cleans up behind processes that were killed, and makes again what should be there: for the start of a server
   * and before anything is changed.
   */
  recover(): Promise<Recovered> {
    return this.exclusively(() => this.#recover(true));
  }

  /**
   * Writes changes and brings the kernel there. When the kernel refuses, the records become what they were, and
   * the kernel too.
   */
  change(decide: (records: Records) => Changes | Promise<Changes>): Promise<Records> {
    return this.exclusively(async () => {
      await this.#recover(false);
      const records = this.records();
      await this.#change(records, await decide(records));
      return this.records();
    });
  }

  async #change(before: Records, changes: Changes): Promise<void> {
    const after = applyChanges(before, changes);
    const names = new Map([...namesOf(before), ...namesOf(after)]);
    // What is made is in the records before it is in the kernel, and what is removed is in them until it is gone:
    // at no moment is there an interface that no record and no mark tells of.
    const { dropNetworks = [], dropTaps = [], dropPorts = [], ...first } = changes;
    writeRecords(this.#db, first);
    try {
      await this.#reconcile(names, after);
    } catch (error) {
      // The settings of the machine that were written down stay so: they may have been changed.
      writeRecords(this.#db, { ...changesBetween(this.records(), before), dropSysctls: [] });
      await this.#reconcile(names, before);
      throw error;
    }
    writeRecords(this.#db, {
      dropNetworks,
      dropTaps: dropTaps.filter((name) => !(changes.putTaps ?? []).some(({ tap }) => tap === name)),
      dropPorts: dropPorts.filter((port) => !after.ports.some((other) => isSamePort(other, port))),
    });
  }

  /** `isThorough`: the kernel is looked at even if nothing is known to have died. */
  async #recover(isThorough: boolean): Promise<Recovered> {
    await this.#takeBack();
    const records = this.records();
    const isDead = (tap: TapRecord) => !isAlive(tap.owner);
    const changes = planDetach(records, isDead);
    const now = Date.now();
    const expired = records.leases.filter(({ expiresAt }) => expiresAt !== null && expiresAt < now);
    if (isThorough || records.taps.some(isDead) || expired.length > 0) {
      await this.#change(records, { ...changes, dropLeases: expired });
    }
    return {
      taps: changes.dropTaps ?? [],
      networks: [...new Set(records.taps.filter(isDead).map(({ network }) => network))],
    };
  }

  /** A host's interface that nobody confirmed as a port, and that whoever put it there didn't live to take back. */
  async #takeBack(): Promise<void> {
    const records = this.records();
    const late = records.networks.filter(({ confirmBy }) => confirmBy !== null && confirmBy < Date.now());
    for (const network of late) {
      for (const command of release(network)) await callProgram(command);
      await this.#change(records, { dropNetworks: [network.name] });
    }
  }

  /** Brings the kernel to the records; `known` are names that may be ours though they lack the mark. */
  async #reconcile(known = namesOf(this.records()), records = this.records()): Promise<void> {
    const { actions, remember, forget } = await this.#plan(records, known);
    // What a setting was is written down before it is changed.
    if (remember.length > 0) writeRecords(this.#db, { putSysctls: remember });
    await perform(actions, this.instance);
    if (forget.length > 0) writeRecords(this.#db, { dropSysctls: forget });
  }

  /** The steps that would bring the kernel to these records, without those that not every kernel can take. */
  async plan(records: Records = this.records()): Promise<readonly Action[]> {
    const { actions } = await this.#plan(records, namesOf(records));
    return actions.filter((action) => !isOptional(action));
  }

  async #plan(
    records: Records,
    known: ReadonlyMap<string, LinkKind>,
  ): Promise<{ actions: Action[]; remember: SysctlRecord[]; forget: string[] }> {
    const look = await lookAtKernel();
    const around = surroundingsOf(look, this.instance);
    const wanted = wantedState(records, around);
    const boot = bootId();
    const old = this.records().sysctls;
    // What was changed once stays wanted although it no longer looks like it needs changing.
    for (const { path } of old) {
      const value = readSysctl(path);
      if (
        path.endsWith("/accept_ra") &&
        wanted.sysctls.has("net/ipv6/conf/all/forwarding") &&
        value === "2"
      ) {
        (wanted.sysctls as Map<string, string>).set(path, "2");
      }
    }
    const found = await stateOf(look, this.instance, known, wanted.sysctls.keys());
    const restore = new Map<string, string>();
    const forget: string[] = [];
    for (const { path, before, boot: then } of old) {
      if (wanted.sysctls.has(path)) continue;
      forget.push(path);
      // Docker counts on forwarding that it found switched on, and would not know.
      const isShared = around.hasDocker && path === "net/ipv4/ip_forward";
      if (then === boot && readSysctl(path) !== undefined && !isShared) restore.set(path, before);
    }
    const remember = [...wanted.sysctls].flatMap(([path, value]): SysctlRecord[] => {
      const before = found.sysctls.get(path);
      const isNew = !old.some((record) => record.path === path && record.boot === boot);
      if (!isGlobalSysctl(path) || before === undefined || before === value || !isNew) return [];
      return [{ path, before, boot }];
    });
    return { actions: planChanges(found, wanted, restore), remember, forget };
  }

  /** One change at a time, in this process and among all that have this data directory. */
  exclusively<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      const fd = await this.#lock();
      try {
        return await action();
      } finally {
        close(fd);
      }
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** The kernel gives the lock back when the process dies, however it dies. */
  async #lock(): Promise<number> {
    const fd = open(this.#lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
    if (fd < 0) throw new OsError(this.#lockPath, -fd);
    const end = performance.now() + LOCK_LIMIT_MS;
    while (!tryLock(fd)) {
      if (performance.now() > end) {
        close(fd);
        throw new NetworkError("busy", "another robur is changing networks, and doesn't come to an end", {
          hint: `fuser -v ${this.#lockPath}`,
        });
      }
      await Bun.sleep(LOCK_PAUSE_MS);
    }
    return fd;
  }
}

/** Bridges that no network is on. */
async function bridgesOfOthers(records: Records): Promise<string[]> {
  const own = new Set(records.networks.map(({ bridge }) => bridge));
  const interfaces = await lookAtInterfaces();
  return interfaces
    .filter(({ linkinfo, ifname }) => linkinfo?.info_kind === "bridge" && !own.has(ifname))
    .map(({ ifname }) => ifname);
}

/** Names of interfaces in the records. */
function namesOf(records: Records): Map<string, LinkKind> {
  const names = new Map<string, LinkKind>();
  for (const { tap } of records.taps) names.set(tap, "tap");
  for (const { name, bridge, adopted } of records.networks) {
    if (adopted) continue;
    names.set(bridge, "bridge");
    names.set(dummyName(name), "dummy");
  }
  return names;
}
