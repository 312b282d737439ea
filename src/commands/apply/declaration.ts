/**
 * unikernels.toml: what shall be there. Everything in it is checked before anything is asked of a server, and a key
 * that isn't known is refused, since a slip that is passed over looks like a decision.
 *
 *     [unikernels."family:web"]
 *     image = "web.hvt"              # beside this file; or sha256:…, or https://…
 *     memory = "64M"
 *     args = ["--tls=true"]
 *     networks = [{ device = "service", network = "service", address = "10.0.0.7" }]
 *     blocks = [{ device = "data", volume = "web" }]
 *     publish = ["8080:80"]
 *     restart = "on-failure:5"
 *     running = true
 *
 *     [policies."family"]
 *     unikernels = 5
 *     memory = "1G"
 *     cpus = "0-1"
 *
 * What isn't said of a unikernel is as it is by default. Pure.
 */
import { RoburError, UsageError } from "../../lib/errors.ts";
import type {
  BlockConfig,
  NetworkConfig,
  Policy,
  UnikernelConfig,
  UnikernelName,
} from "../../orchestrator/api.ts";
import { type PolicyPath, parseName, parsePath } from "../../orchestrator/names.ts";
import { parseCpus, parseMemory, parsePublish, parseRestart } from "../client/config-text.ts";

export class DeclarationError extends RoburError<"bad-declaration"> {
  constructor(where: string, message: string, more: { why?: string; hint?: string } = {}) {
    super("bad-declaration", `${where}: ${message}`, more);
  }
}

export interface WantedUnikernel {
  readonly name: UnikernelName;
  /** As written. */
  readonly image: string;
  /** Only what is written. */
  readonly config: Partial<UnikernelConfig>;
  readonly isRunning: boolean;
}

export interface WantedPolicy {
  readonly path: PolicyPath;
  readonly policy: Policy;
}

export interface Declaration {
  readonly unikernels: readonly WantedUnikernel[];
  readonly policies: readonly WantedPolicy[];
}

type Table = Readonly<Record<string, unknown>>;

/** Reads the text of a file called `file`. Throws DeclarationError. */
export function parseDeclaration(text: string, file: string): Declaration {
  const root = new Reader(parseToml(text, file), file);
  const unikernels = root.tables("unikernels").map(([key, table]) => readUnikernel(key, table));
  const policies = root.tables("policies").map(([key, table]) => readPolicy(key, table));
  root.end();
  refuseTwice(
    file,
    unikernels.map(({ name }) => name),
  );
  refuseTwice(
    file,
    policies.map(({ path }) => path),
  );
  return { unikernels, policies };
}

function parseToml(text: string, file: string): Table {
  try {
    return Bun.TOML.parse(text) as Table;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new DeclarationError(file, "this is not TOML", { why });
  }
}

function readUnikernel(key: string, table: Reader): WantedUnikernel {
  const name = parseName(key);
  if (name === undefined) throw table.wrong(`${JSON.stringify(key)} can't be a unikernel's name`);
  const image = table.string("image");
  if (image === undefined) throw table.wrong("image is missing");
  const config: { -readonly [key in keyof UnikernelConfig]?: UnikernelConfig[key] } = {};
  const set = <K extends keyof UnikernelConfig>(key: K, value: UnikernelConfig[K] | undefined) => {
    if (value !== undefined) config[key] = value;
  };
  set("memoryMb", table.memory("memory"));
  set("cpus", table.converted("cpus", parseCpus));
  set("args", table.strings("args"));
  set("addName", table.boolean("add-name"));
  set("addAddress", table.boolean("add-address"));
  set("networks", table.list("networks")?.map(readNetwork));
  set("blocks", table.list("blocks")?.map(readBlock));
  set(
    "publish",
    table.strings("publish")?.map((text) => table.convert("publish", text, parsePublish)),
  );
  set("restart", table.converted("restart", parseRestart));
  set("priority", table.integer("priority"));
  set("labels", table.labels("labels"));
  const isRunning = table.boolean("running") ?? true;
  table.end();
  return { name, image, config, isRunning };
}

function readNetwork(table: Reader): NetworkConfig {
  const [device, network = null] = [table.string("device"), table.string("network")];
  const [mac = null, address = null] = [table.string("mac"), table.string("address")];
  if (device === undefined) throw table.wrong("device is missing");
  table.end();
  return { device, network, mac, address };
}

function readBlock(table: Reader): BlockConfig {
  const [device, volume] = [table.string("device"), table.string("volume")];
  const sectorSize = table.integer("sector-size") ?? null;
  if (device === undefined || volume === undefined) throw table.wrong("device and volume are needed");
  table.end();
  return { device, volume, sectorSize };
}

function readPolicy(key: string, table: Reader): WantedPolicy {
  const path = parsePath(key);
  if (path === undefined) throw table.wrong(`${JSON.stringify(key)} is no path`);
  const [unikernels, memoryMb] = [table.integer("unikernels"), table.memory("memory")];
  const cpus = table.converted("cpus", parseCpus);
  if (unikernels === undefined || memoryMb === undefined || cpus === undefined || cpus === null) {
    throw table.wrong("unikernels, memory and cpus are needed");
  }
  const policy = {
    unikernels,
    memoryMb,
    cpus,
    blockMb: table.memory("block") ?? null,
    bridges: table.strings("networks") ?? [],
  };
  table.end();
  return { path, policy };
}

function refuseTwice(file: string, names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new DeclarationError(file, `${twice} is there twice`);
}

/** A table that remembers which of its keys were read. */
class Reader {
  readonly #table: Table;
  readonly #where: string;
  readonly #read = new Set<string>();

  constructor(table: Table, where: string) {
    this.#table = table;
    this.#where = where;
  }

  wrong(message: string): DeclarationError {
    return new DeclarationError(this.#where, message);
  }

  /** To be called when everything known was read. */
  end(): void {
    const unknown = Object.keys(this.#table).find((key) => !this.#read.has(key));
    if (unknown === undefined) return;
    throw new DeclarationError(this.#where, `nothing is known of ${unknown}`, {
      hint: `one of ${[...this.#read].sort().join(", ")}`,
    });
  }

  string(key: string): string | undefined {
    return this.#get(key, "a text", (value): value is string => typeof value === "string");
  }

  boolean(key: string): boolean | undefined {
    return this.#get(key, "true or false", (value): value is boolean => typeof value === "boolean");
  }

  integer(key: string): number | undefined {
    return this.#get(key, "a whole number", (value): value is number => Number.isSafeInteger(value));
  }

  strings(key: string): string[] | undefined {
    return this.#get(
      key,
      "a list of texts",
      (value): value is string[] => Array.isArray(value) && value.every((item) => typeof item === "string"),
    );
  }

  labels(key: string): Record<string, string> | undefined {
    return this.#get(
      key,
      "a table of texts",
      (value): value is Record<string, string> =>
        isTable(value) && Object.values(value).every((item) => typeof item === "string"),
    );
  }

  list(key: string): Reader[] | undefined {
    const tables = this.#get(
      key,
      "a list of tables",
      (value): value is Table[] => Array.isArray(value) && value.every(isTable),
    );
    return tables?.map((table, i) => new Reader(table, `${this.#where}: ${key}, number ${i + 1}`));
  }

  tables(key: string): [key: string, table: Reader][] {
    const all = this.#get(
      key,
      "tables",
      (value): value is Record<string, Table> => isTable(value) && Object.values(value).every(isTable),
    );
    return Object.entries(all ?? {}).map(([name, table]) => [
      name,
      new Reader(table, `${this.#where}: [${key}.${name}]`),
    ]);
  }

  /** `"64M"`, or a number of MiB. */
  memory(key: string): number | undefined {
    return typeof this.#table[key] === "number" ? this.integer(key) : this.converted(key, parseMemory);
  }

  converted<T>(key: string, convert: (text: string) => T): T | undefined {
    const text = this.string(key);
    return text === undefined ? undefined : this.convert(key, text, convert);
  }

  convert<T>(key: string, text: string, convert: (text: string) => T): T {
    try {
      return convert(text);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const { message, why, hint } = error;
      throw new DeclarationError(this.#where, `${key}: ${message}`, {
        ...(why === undefined ? {} : { why }),
        ...(hint === undefined ? {} : { hint }),
      });
    }
  }

  #get<T>(key: string, what: string, is: (value: unknown) => value is T): T | undefined {
    this.#read.add(key);
    const value = this.#table[key];
    if (value === undefined || is(value)) return value;
    throw this.wrong(`${key} is not ${what}`);
  }
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
