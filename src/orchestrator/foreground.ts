/**
 * One unikernel in the foreground with networks of robur's: made before it starts and gone when it has ended,
 * however it ends. The guest is in a process of its own; this one stays, answers DHCP and DNS on the bridge, and
 * cleans up. Should it be killed itself, the next robur that starts finds what it left: see network/networks.ts.
 */
import type { Unikernel } from "../image/unikernel.ts";
import { selfCommand } from "../lib/self.ts";
import { MIB } from "../lib/units.ts";
import { close } from "../linux/libc.ts";
import { cidr, formatAddress, freeRange, addressIn } from "../network/addresses.ts";
import type { AttachRequest, Attached } from "../network/attach-plan.ts";
import { addressInArguments, bootArguments } from "../network/boot-arguments.ts";
import { mayMakeNetworks } from "../network/capabilities.ts";
import { usedRanges } from "../network/kernel.ts";
import { checkUnikernelName, nameForImage, unikernelMac } from "../network/names.ts";
import { NetworkError } from "../network/network-error.ts";
import type { Networks } from "../network/networks.ts";
import { openNetworks } from "../network/open-networks.ts";
import { ownerOf } from "../network/owner.ts";
import { type Passt, hasPasst, startPasst } from "../network/passt.ts";
import { type PortSpec, parsePort } from "../network/ports.ts";
import { findProgram } from "../network/programs.ts";
import { networkOf } from "../network/records.ts";
import { startResponders } from "../network/responders.ts";
import { type DeviceRequest, formatMac, openDevices, parseMac, planDevices } from "../tender/attach.ts";
import { exitStatus, waitInForeground } from "../tender/foreground.ts";
import type { OpenImage } from "../tender/image-file.ts";
import { chooseUser } from "../tender/privileges.ts";
import { describeExit } from "../tender/spt/exit.ts";
import { prepareSpt } from "../tender/spt/prepare.ts";
import { spawnSpt } from "../tender/spt/spawn.ts";
import { type SortedNets, netDevices, sortNets } from "./net-wishes.ts";

export interface NetworkedRun {
  readonly image: OpenImage;
  readonly unikernel: Unikernel;
  /** What somebody typed for the image. */
  readonly file: string;
  readonly args: readonly string[];
  /** Bytes. */
  readonly memory: number;
  /** `--net`, `--net-mac`, `--block`, `--block-sector-size`. */
  readonly request: DeviceRequest;
  readonly dataDirectory: string;
  /** `-p`, as typed. */
  readonly publish: readonly string[];
  /** `--name`; default: that of the image's file. */
  readonly name?: string | undefined;
  /** `--network`. */
  readonly network?: string | undefined;
  readonly disabled?: boolean | undefined;
  /** `--dhcp`: no addresses by boot argument. */
  readonly byDhcp?: boolean | undefined;
  /** More flags for the tender's process, where it is one of its own (hvt, virtio): `--user=…`, `--dumpcore=…`. */
  readonly hvtFlags?: readonly string[] | undefined;
  /** `--user`, for spt. */
  readonly user?: string | undefined;
  /** For sentences about what is done; one line each. */
  readonly say: (sentence: string) => void;
}

export type Backend = "kernel" | "passt";

/** What the tender gets. */
interface Provided {
  readonly request: DeviceRequest;
  readonly args: readonly string[];
}

/** Kernel networks where they may be made, else passt. Throws NetworkError not-permitted with what mends it. */
export function chooseBackend(asked: string | undefined): Backend {
  if (asked === "passt") return "passt";
  const missing = ["ip", "nft"].filter((program) => findProgram(program) === undefined);
  if (mayMakeNetworks() && missing.length === 0) return "kernel";
  if (hasPasst() && asked === undefined) return "passt";
  if (mayMakeNetworks()) {
    throw new NetworkError("program-missing", `a network can't be made: ${missing.join(" and ")} missing`, {
      hint: "sudo apt-get install iproute2 nftables\nor, for a network without rights: sudo apt-get install passt",
    });
  }
  throw new NetworkError("not-permitted", "making a network is not permitted to this user", {
    why: "it takes CAP_NET_ADMIN, or passt, which is not installed",
    hint: "sudo apt-get install passt\nor: sudo robur run …",
  });
}

/**
 * Runs the unikernel to its end and answers its exit status. Throws NetworkError, TenderError and DatabaseError
 * before it started; nothing is left then.
 */
export async function runWithNetworks(run: NetworkedRun): Promise<number> {
  const ports = run.publish.map(parsePort);
  const stop = new StopRequest();
  try {
    const backend = chooseBackend(run.network);
    return await (backend === "passt" ? runOnPasst(run, ports, stop) : runOnKernel(run, ports, stop));
  } finally {
    stop.ignore();
  }
}

/** What `run` would do, in lines for people: nothing is changed. Throws as it would. */
export async function explainNetworks(run: NetworkedRun): Promise<Provided & { readonly plan: string[] }> {
  const ports = run.publish.map(parsePort);
  if (chooseBackend(run.network) === "passt") {
    const { provided, specs } = await planPasst(run, ports);
    const plan = [
      ...specs.map(({ device, ipv4 }, i) => {
        return `network device ${device}: passt on descriptor ${FIRST_PASSED + i}, address ${ipv4}`;
      }),
      ...run.publish.map((port) => `published: ${port}`),
    ];
    return { ...provided(new Map(specs.map(({ device }, i) => [device, FIRST_PASSED + i]))), plan };
  }
  using open = openNetworks(run.dataDirectory);
  const { attach, sorted } = await requestFor(run, ports, open.networks);
  const { attached, made } = await open.networks.planAttach(attach);
  const provided = provide(run, sorted, attached);
  const plan = [
    ...made.map(({ name, mode, ipv4 }) => `network ${name}: made, ${mode}, ${ipv4}`),
    ...attached.map(({ device, network, ipv4 }) => {
      return `network device ${device}: network ${network}, address ${ipv4 ?? "from elsewhere"}`;
    }),
    ...run.publish.map((port) => `published: ${port}`),
  ];
  return { ...provided, plan };
}

async function runOnKernel(
  run: NetworkedRun,
  ports: readonly PortSpec[],
  stop: StopRequest,
): Promise<number> {
  using open = openNetworks(run.dataDirectory);
  const { networks, home } = open;
  const { attach, sorted } = await requestFor(run, ports, networks);
  const { attached } = await networks.attach(attach);
  const names = [...new Set(attached.map(({ network }) => network))];
  const responders = startResponders(networks, home, names, run.say);
  try {
    await responders.ready;
    for (const sentence of describe(attached, ports)) run.say(sentence);
    const handOver = (pid: number) => networks.handOver(attach.unikernel, ownerOf(pid));
    return await startGuest(run, provide(run, sorted, attached), stop, handOver);
  } finally {
    responders.stop();
    await networks.detach(attach.unikernel);
  }
}

function describe(attached: readonly Attached[], ports: readonly PortSpec[]): string[] {
  return [
    ...attached.map(
      ({ device, network, ipv4 }) => `${device} is on the network ${network}${ipv4 ? `, ${ipv4}` : ""}`,
    ),
    ...ports.map(({ address, hostPort, guestPort, protocol }) => {
      const at = address === "" ? "localhost" : address.includes(":") ? `[${address}]` : address;
      return protocol === "tcp"
        ? `port ${guestPort} is published: http://${at}:${hostPort}/`
        : `port ${guestPort}/udp is published on port ${hostPort}`;
    }),
  ];
}

async function requestFor(
  run: NetworkedRun,
  ports: readonly PortSpec[],
  networks: Networks,
): Promise<{ attach: AttachRequest; sorted: SortedNets }> {
  const { manifest } = run.unikernel;
  const records = networks.records();
  const sorted = sortNets(
    manifest,
    { nets: run.request.nets, network: run.network, disabled: run.disabled ?? false },
    (name) => name === "service" || networkOf(records, name) !== undefined,
  );
  const devices = netDevices(manifest);
  const unikernel = run.name === undefined ? freeName(run.file, networks) : checkUnikernelName(run.name);
  checkNotRunning(unikernel, networks);
  const wishes = sorted.wished.map(({ device, network }) => {
    const mac = run.request.macs.get(device);
    const ipv4 = addressInArguments(device, devices, run.args);
    return {
      device,
      network,
      ...(ipv4 === undefined ? {} : { ipv4 }),
      ...(mac === undefined ? {} : { mac: formatMac(mac) }),
    };
  });
  return { attach: { unikernel, devices: wishes, ports, owner: ownerOf(process.pid) }, sorted };
}

/** Two at a time of one image are two unikernels: the second is `website-2`. */
function freeName(file: string, networks: Networks): string {
  const base = nameForImage(file);
  const { taps } = networks.records();
  const isTaken = (name: string) => taps.some(({ unikernel }) => unikernel === name);
  if (!isTaken(base)) return base;
  for (let number = 2; ; number++) {
    if (!isTaken(`${base}-${number}`)) return `${base}-${number}`;
  }
}

function checkNotRunning(unikernel: string, networks: Networks): void {
  const tap = networks.records().taps.find((other) => other.unikernel === unikernel);
  if (tap === undefined) return;
  throw new NetworkError("in-use", `the unikernel ${unikernel} is running`, {
    why: `process ${tap.owner.pid} has its network`,
    hint: "another --name",
  });
}

/** The tender's devices and the guest's arguments, for networks of the kernel's. */
function provide(run: NetworkedRun, sorted: SortedNets, attached: readonly Attached[]): Provided {
  const nets = new Map(sorted.given);
  const macs = new Map(run.request.macs);
  for (const { device, tap, mac } of attached) {
    nets.set(device, { tap });
    macs.set(device, parseMac(mac)!);
  }
  return { request: { ...run.request, nets, macs }, args: argumentsFor(run, attached) };
}

function argumentsFor(run: NetworkedRun, attached: Parameters<typeof bootArguments>[0]): string[] {
  if (run.byDhcp === true) return [...run.args];
  return [...bootArguments(attached, netDevices(run.unikernel.manifest), run.args), ...run.args];
}

/* ---- passt ---- */

interface PasstDevice {
  readonly device: string;
  readonly ipv4: string;
  readonly gateway: string;
  readonly ports: readonly PortSpec[];
}

async function planPasst(run: NetworkedRun, ports: readonly PortSpec[]) {
  const { manifest } = run.unikernel;
  const devices = netDevices(manifest);
  const name = run.name === undefined ? nameForImage(run.file) : checkUnikernelName(run.name);
  const isPasst = (value: string) => value === "passt" || value === "service";
  const options = { nets: run.request.nets, disabled: run.disabled ?? false };
  const sorted = sortNets(manifest, options, isPasst);
  const used = findProgram("ip") === undefined ? [] : await usedRanges();
  const specs: PasstDevice[] = [];
  for (const [i, { device }] of sorted.wished.entries()) {
    const host = freeRange([...used, ...specs.map(({ ipv4 }) => cidr(ipv4))]) ?? "10.0.42.1/24";
    const range = cidr(host);
    specs.push({
      device,
      ipv4: `${addressInArguments(device, devices, run.args) ?? formatAddress(addressIn(range, 2n))}/${range.length}`,
      gateway: formatAddress(range),
      ports: i === 0 ? ports : [],
    });
  }
  if (specs.length === 0 && ports.length > 0) {
    throw new NetworkError("bad-port", "a port can't be published: the unikernel has no network device");
  }
  const provided = (fds: ReadonlyMap<string, number>): Provided => {
    const nets = new Map(sorted.given);
    const macs = new Map(run.request.macs);
    for (const { device } of specs) {
      nets.set(device, { fd: fds.get(device) ?? -1 });
      if (!macs.has(device)) macs.set(device, parseMac(unikernelMac(name, device))!);
    }
    const addresses = specs.map(({ device, ipv4, gateway }) => {
      return { device, ipv4, ipv4Gateway: gateway, ipv6: null, ipv6Gateway: null };
    });
    return { request: { ...run.request, nets, macs }, args: argumentsFor(run, addresses) };
  };
  return { specs, provided };
}

async function runOnPasst(run: NetworkedRun, ports: readonly PortSpec[], stop: StopRequest): Promise<number> {
  const { specs, provided } = await planPasst(run, ports);
  const started = new Map<string, Passt>();
  try {
    for (const spec of specs) started.set(spec.device, await startPasst(spec));
    const failed = Promise.race([...started.values()].map((passt) => passt.failed));
    for (const { device, ipv4 } of specs) run.say(`${device} is on passt, ${ipv4}`);
    for (const sentence of describe([], ports)) run.say(sentence);
    const fds = new Map([...started].map(([device, { fd }]) => [device, fd]));
    return await startGuest(run, provided(fds), stop, undefined, failed);
  } finally {
    for (const { fd, stop: end } of started.values()) {
      close(fd);
      await end();
    }
  }
}

/* ---- the guest's process ---- */

/** The first descriptor of a child that isn't a standard one. */
const FIRST_PASSED = 3;

async function startGuest(
  run: NetworkedRun,
  provided: Provided,
  stop: StopRequest,
  started?: (pid: number) => void,
  failed?: Promise<Error>,
): Promise<number> {
  if (stop.signal !== undefined) return 128 + stop.signal;
  const child =
    run.unikernel.abi.target === "spt" ? startSpt(run, provided) : startTender(run, provided, started);
  let failure: Error | undefined;
  void failed?.then((error) => {
    failure = error;
    child.kill("SIGTERM");
  });
  const exit = await waitInForeground(child);
  if (failure !== undefined) throw failure;
  const sentence = run.unikernel.abi.target === "spt" && !exit.wasAsked ? describeExit(exit) : undefined;
  if (sentence !== undefined) run.say(sentence);
  return exitStatus(exit);
}

/** The guest as a child of this process's own; it dies with it. */
function startSpt(run: NetworkedRun, { request, args }: Provided): Bun.Subprocess {
  const { image, unikernel, memory } = run;
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const attachments = openDevices(planDevices(unikernel.manifest, request, random));
  const user = chooseUser(run.user);
  try {
    const prepared = prepareSpt({ image, unikernel, memory, args, attachments, user, dieWithParent: true });
    return spawnSpt(prepared, { stdout: "inherit", stderr: "inherit" }).process;
  } finally {
    for (const { hostFd } of attachments)
      if (![...request.nets.values()].some((net) => "fd" in net && net.fd === hostFd)) close(hostFd);
  }
}

/** The tender in a process of its own, which has the taps from now on: they are in use as long as it lives. */
function startTender(run: NetworkedRun, provided: Provided, started?: (pid: number) => void): Bun.Subprocess {
  const passed: number[] = [];
  const child = Bun.spawn([...selfCommand(), ...childArguments(run, provided, passed)], {
    stdio: ["inherit", "inherit", "inherit", ...passed],
  });
  started?.(child.pid);
  return child;
}

/** `robur run` once more, with devices that need nothing done any more: that is the tender, in its own process. */
function childArguments(run: NetworkedRun, { request, args }: Provided, passed: number[]): string[] {
  // The devices are there: the child makes nothing more, and ends with this process.
  const words = ["run", "--no-network", "--die-with-parent", `--memory=${run.memory / MIB}M`];
  for (const [name, source] of request.nets) {
    if ("tap" in source) words.push(`--net=${name}=${source.tap}`);
    else words.push(`--net=${name}=@${FIRST_PASSED + passed.push(source.fd) - 1}`);
  }
  for (const [name, mac] of request.macs) words.push(`--net-mac=${name}=${formatMac(mac)}`);
  for (const [name, path] of request.blocks) {
    words.push(`--block${request.readOnly?.has(name) === true ? "-ro" : ""}=${name}=${path}`);
  }
  for (const [name, size] of request.sectorSizes) words.push(`--block-sector-size=${name}=${size}`);
  return [...words, ...(run.hvtFlags ?? []), run.file, "--", ...args];
}

/* ---- signals ---- */

const STOPPING = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1, SIGQUIT: 3 } as const;

/** Signals that come before the guest runs, or while its networks are taken away, don't leave anything half done. */
class StopRequest {
  signal: number | undefined;
  readonly #handlers = Object.entries(STOPPING).map(([name, number]) => {
    const handler = () => {
      this.signal ??= number;
    };
    process.on(name, handler);
    return { name, handler };
  });

  ignore(): void {
    for (const { name, handler } of this.#handlers) process.off(name, handler);
  }
}
