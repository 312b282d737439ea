/** Test guests under the compiled hvt tender, by both of its names. */
import { type GuestOptions, buildGuest } from "../../guests/build.ts";
import { type Ended, type RunOptions, run, start } from "../../robur.ts";

/** `robur run`, or the original's name with the original's options. */
export type Tender = "robur run" | "solo5-hvt";

export const TENDERS: readonly Tender[] = ["robur run", "solo5-hvt"];

export interface BootOptions extends Omit<RunOptions, "as"> {
  /** The unikernel's own arguments. */
  readonly args?: readonly string[];
  /** MiB; 32 unless given. */
  readonly memory?: number;
  /** Tap or `@FD` by device name. */
  readonly nets?: Readonly<Record<string, string>>;
  /** Path by device name. */
  readonly blocks?: Readonly<Record<string, string>>;
  readonly sectorSizes?: Readonly<Record<string, number>>;
  /** More options, given as they are. */
  readonly flags?: readonly string[];
  readonly build?: GuestOptions;
  /** Another name for solo5-hvt. */
  readonly as?: string;
}

export interface Booted extends Ended {
  /** Both streams. */
  readonly output: string;
}

/** The arguments that boot an image file. */
export function bootArguments(tender: Tender, image: string, options: BootOptions = {}): string[] {
  const { args = [], memory = 32, nets = {}, blocks = {}, sectorSizes = {}, flags = [] } = options;
  const isOurs = tender === "robur run";
  const devices: [kind: string, name: string, value: string | number][] = [
    ...Object.entries(nets).map(([name, value]) => ["net", name, value] as [string, string, string]),
    ...Object.entries(blocks).map(([name, value]) => ["block", name, value] as [string, string, string]),
    ...Object.entries(sectorSizes).map(
      ([name, value]) => ["block-sector-size", name, value] as [string, string, number],
    ),
  ];
  return [
    ...(isOurs ? ["run", "--memory", `${memory}M`] : [`--mem=${memory}`]),
    ...devices.flatMap(([kind, name, value]) =>
      isOurs ? [`--${kind}`, `${name}=${value}`] : [`--${kind}:${name}=${value}`],
    ),
    ...flags,
    "--",
    image,
    ...args,
  ];
}

const calledBy = (tender: Tender, options: BootOptions): RunOptions => {
  const { cwd, env, under, limit } = options;
  return {
    as: tender === "solo5-hvt" ? (options.as ?? "solo5-hvt") : "robur",
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    ...(under === undefined ? {} : { under }),
    ...(limit === undefined ? {} : { limit }),
  };
};

/** Builds the guest `name` and runs it to its end. */
export async function boot(tender: Tender, name: string, options: BootOptions = {}): Promise<Booted> {
  const image = await buildGuest(name, "hvt", options.build);
  return bootImage(tender, image, options);
}

/** The same for an image file. */
export async function bootImage(tender: Tender, image: string, options: BootOptions = {}): Promise<Booted> {
  const ended = await run(bootArguments(tender, image, options), calledBy(tender, options));
  return { ...ended, output: ended.stdout + ended.stderr };
}

/** Builds the guest `name` and starts it. */
export async function startGuest(tender: Tender, name: string, options: BootOptions = {}) {
  const image = await buildGuest(name, "hvt", options.build);
  return start(bootArguments(tender, image, options), calledBy(tender, options));
}
