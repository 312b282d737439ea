/** The drawing thread: reads large files, so that the server goes on answering meanwhile. */
import { readSync } from "node:fs";
import { compareElf } from "../../image/elf-comparison.ts";
import type { ImageSource } from "../../image/source.ts";
import { RoburError } from "../../lib/errors.ts";
import { drawDependencies } from "./draw-dependencies.ts";
import { drawTreemap } from "./draw-treemap.ts";
import type { DrawingAnswer, DrawingRequest, DrawingTask, OpenFile, ResultOf } from "./messages.ts";

declare const self: Worker;

self.addEventListener("message", ({ data }: MessageEvent<DrawingRequest>) => {
  self.postMessage(answer(data), []);
});

function answer({ id, task }: DrawingRequest): DrawingAnswer {
  try {
    return { id, ok: true, result: perform(task) };
  } catch (error) {
    if (error instanceof RoburError) return { id, ok: false, isFault: false, message: error.message };
    return {
      id,
      ok: false,
      isFault: true,
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}

function perform(task: DrawingTask): ResultOf[DrawingTask["kind"]] {
  switch (task.kind) {
    case "treemap":
      return drawTreemap(fileSource(task.file));
    case "dependencies": {
      const source = fileSource(task.file);
      return drawDependencies(new TextDecoder().decode(source.read(0, source.size)));
    }
    case "comparison":
      return compareElf(fileSource(task.left), fileSource(task.right));
  }
}

function fileSource({ fd, size }: OpenFile): ImageSource {
  return {
    size,
    read(offset, length) {
      if (offset >= size || length <= 0) return new Uint8Array(0);
      const bytes = new Uint8Array(Math.min(length, size - offset));
      let done = 0;
      while (done < bytes.length) {
        const count = readSync(fd, bytes, done, bytes.length - done, offset + done);
        if (count === 0) break;
        done += count;
      }
      return bytes.subarray(0, done);
    },
  };
}
