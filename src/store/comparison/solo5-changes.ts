/** What two unikernels want of their host: the devices of their manifests, and the tender that runs them. */
import type { Solo5Notes } from "../api.ts";

type Solo5Device = Solo5Notes["manifest"]["devices"][number];

export interface Solo5Changes {
  readonly added: readonly Solo5Device[];
  readonly removed: readonly Solo5Device[];
  /** Same name, other type. */
  readonly retyped: readonly {
    readonly name: string;
    readonly left: Solo5Device["type"];
    readonly right: Solo5Device["type"];
  }[];
  /** `hvt, ABI version 2`; undefined where it is the same. */
  readonly abi: { readonly left: string; readonly right: string } | undefined;
}

/** Lists in the manifests' order. */
export function compareSolo5(left: Solo5Notes, right: Solo5Notes): Solo5Changes {
  const l = new Map(left.manifest.devices.map(({ name, type }) => [name, type]));
  const r = new Map(right.manifest.devices.map(({ name, type }) => [name, type]));
  const only = (some: typeof l, other: typeof l) =>
    [...some].filter(([name]) => !other.has(name)).map(([name, type]) => ({ name, type }));
  const leftAbi = abiText(left);
  const rightAbi = abiText(right);
  return {
    added: only(r, l),
    removed: only(l, r),
    retyped: [...l].flatMap(([name, type]) => {
      const other = r.get(name);
      return other === undefined || other === type ? [] : [{ name, left: type, right: other }];
    }),
    abi: leftAbi === rightAbi ? undefined : { left: leftAbi, right: rightAbi },
  };
}

const abiText = ({ abi }: Solo5Notes) => `${abi.target}, ABI version ${abi.version}`;
