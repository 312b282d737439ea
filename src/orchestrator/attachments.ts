/**
 * What a unikernel is given of the host for the time it runs: network devices, volumes, published ports. The
 * supervisor knows it by this interface only. Whoever implements it keeps its own record of what it made, for the
 * server may die at any moment: `sweep` is how the next one takes back what belongs to nobody.
 */
import type {
  BlockConfig,
  NetworkConfig,
  NetworkView,
  PublishConfig,
  UnikernelId,
  UnikernelName,
} from "./api.ts";
import type { NetSource } from "../tender/attach.ts";

export interface AttachmentWish {
  readonly id: UnikernelId;
  readonly name: UnikernelName;
  /** As the image's manifest has them. */
  readonly devices: readonly { readonly name: string; readonly type: "net" | "block" }[];
  readonly networks: readonly NetworkConfig[];
  readonly blocks: readonly BlockConfig[];
  readonly publish: readonly PublishConfig[];
  /** Arguments for the guest's address are wanted. */
  readonly addAddress: boolean;
  /** The guest's own arguments, which may say its address. */
  readonly args: readonly string[];
}

/** What was prepared for one start. */
export interface Prepared {
  readonly networks: readonly NetworkView[];
  /** By device. */
  readonly taps: ReadonlyMap<string, NetSource>;
  /** Paths by device. */
  readonly blocks: ReadonlyMap<string, string>;
  /** For the guest, before its own arguments. */
  readonly bootArguments: readonly string[];
  /** Descriptors that the tender must hold for as long as it lives, such as locks. */
  readonly held: readonly number[];
  /** The tender runs, as this process: what was made is its from now on. Closes what is held here. */
  started(pid: number): Promise<void>;
}

/** One whose tender was found running, under the name that it had at its start. */
export interface AliveUnikernel {
  readonly id: UnikernelId;
  readonly name: UnikernelName;
  readonly pid: number;
}

export interface Attachments {
  /**
   * Makes everything or nothing. Throws RoburError with a sentence for people; one that is a `PassingError` may go
   * away by itself.
   */
  prepare(wish: AttachmentWish): Promise<Prepared>;
  /** Takes back what a unikernel was given. Harmless when there is nothing. */
  release(id: UnikernelId, name: UnikernelName): Promise<void>;
  /** Takes back what belongs to none of these. Called once, when a server has found the tenders that run. */
  sweep(alive: readonly AliveUnikernel[]): Promise<void>;
  /** A unikernel is gone for good: leases may be given to others. */
  forget(id: UnikernelId, name: UnikernelName): Promise<void>;
  /** A unikernel that isn't running has another name from now on. */
  rename(id: UnikernelId, from: UnikernelName, to: UnikernelName): Promise<void>;
  /** Whether there is a network of that name. */
  hasNetwork(name: string): boolean;
  /** Sizes of all volumes in MiB, by name; for policies. */
  volumeSizes(): ReadonlyMap<string, number>;
}

/** For machines without networks and for tests: files as block devices, and no networks. */
export function fileAttachments(pathOf: (volume: string) => string): Attachments {
  return {
    async prepare({ blocks }) {
      return {
        networks: [],
        taps: new Map(),
        blocks: new Map(blocks.map(({ device, volume }) => [device, pathOf(volume)])),
        bootArguments: [],
        held: [],
        started: async () => undefined,
      };
    },
    release: async () => undefined,
    sweep: async () => undefined,
    forget: async () => undefined,
    rename: async () => undefined,
    hasNetwork: () => false,
    volumeSizes: () => new Map(),
  };
}
