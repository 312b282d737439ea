/** What goes to the drawing thread and what comes back. */
import type { ElfComparison } from "../../image/elf-comparison.ts";
import type { DependencyPicture, TreemapPicture } from "./pictures.ts";

/** An open file that the thread reads; whoever opened it closes it. */
export interface OpenFile {
  readonly fd: number;
  readonly size: number;
}

export type DrawingTask =
  | { readonly kind: "treemap"; readonly file: OpenFile }
  | { readonly kind: "dependencies"; readonly file: OpenFile }
  | { readonly kind: "comparison"; readonly left: OpenFile; readonly right: OpenFile };

export interface ResultOf {
  readonly treemap: TreemapPicture;
  readonly dependencies: DependencyPicture;
  readonly comparison: ElfComparison;
}

export interface DrawingRequest {
  readonly id: number;
  readonly task: DrawingTask;
}

export type DrawingAnswer = { readonly id: number } & (
  | { readonly ok: true; readonly result: ResultOf[DrawingTask["kind"]] }
  /** The file is at fault: a sentence about it. */
  | { readonly ok: false; readonly isFault: false; readonly message: string }
  /** The program is. */
  | { readonly ok: false; readonly isFault: true; readonly message: string }
);
