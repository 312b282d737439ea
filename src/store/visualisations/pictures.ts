/** What pictures are made from, as it is kept and as pages get it. */
import type { SizeNode } from "../../image/sizes.ts";

export type PictureKind = "treemap" | "dependencies";

/** Raised when the drawing changes what it answers for the same input: kept pictures of older ones aren't used. */
export const PICTURE_VERSION: Readonly<Record<PictureKind, number>> = { treemap: 1, dependencies: 1 };

/** Where the bytes of a binary go. */
export interface TreemapPicture {
  readonly kind: "treemap";
  /** Bytes of the file that was measured. */
  readonly fileSize: number;
  /** Bytes that are zero at the start and take memory only. */
  readonly zeroed: number;
  /** False: the names were stripped, and only sections are known. */
  readonly hasSymbols: boolean;
  /** What is loaded: language, library, module, function. The smallest are put together. */
  readonly tree: SizeNode;
  /** The whole file by section. */
  readonly sections: SizeNode;
}

export interface PackageNode {
  readonly name: string;
  readonly version: string;
  /** Steps from the root: 0 is the root, 1 what it depends on itself. */
  readonly distance: number;
  /** Of other packages in the same list, by their place in it. */
  readonly dependencies: readonly number[];
  /** How many packages of the list depend on it directly. */
  readonly dependents: number;
}

/** What a build's root package depends on. */
export interface DependencyPicture {
  readonly kind: "dependencies";
  /** By distance; those of one distance stand in an order in which few lines cross. */
  readonly packages: readonly PackageNode[];
  /** Packages that are installed and that nothing leads to from the root. */
  readonly unreached: number;
  /** There were more packages than are drawn. */
  readonly isCut: boolean;
}

export interface PictureOf {
  readonly treemap: TreemapPicture;
  readonly dependencies: DependencyPicture;
}

/** Why there is no picture. */
export interface NoPicture {
  readonly reason: "no-input" | "unreadable" | "too-large";
  /** A sentence for people. */
  readonly message: string;
}
