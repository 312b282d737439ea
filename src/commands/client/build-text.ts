/** Builds in words, for lists and pages of text. Pure. */
import { resultText } from "../../protocols/builder/result-text.ts";
import type { BuildSummary } from "../../store/api.ts";
import { formatDuration } from "../../lib/duration.ts";
import { formatSize } from "../../lib/units.ts";
import { formatTime } from "../table.ts";
import type { ListColumn } from "./list.ts";

export const BUILD_COLUMNS: readonly ListColumn<BuildSummary>[] = [
  { key: "id", title: "BUILD", text: ({ id }) => id, cut: 9 },
  { key: "job", title: "JOB", text: ({ job }) => job },
  { key: "platform", title: "PLATFORM", text: ({ platform }) => platform },
  { key: "startedAt", title: "STARTED", text: ({ startedAt }) => formatTime(startedAt) },
  {
    key: "took",
    title: "TOOK",
    text: ({ startedAt, finishedAt }) => formatDuration(finishedAt - startedAt),
    isRight: true,
  },
  { key: "result", title: "RESULT", text: ({ result }) => resultText(result), cut: 40 },
  {
    key: "main",
    title: "OUTPUT",
    text: ({ main }) =>
      main === undefined ? "none" : `${main.path.split("/").at(-1)} ${formatSize(main.size)}`,
    cut: 40,
  },
  { key: "sha256", title: "SHA-256", text: ({ main }) => main?.sha256 ?? "", cut: 13 },
  { key: "target", title: "TARGET", text: ({ solo5 }) => solo5?.abi.target ?? "", isExtra: true },
  { key: "inputId", title: "INPUT", text: ({ inputId }) => inputId ?? "", isExtra: true },
  { key: "isPinned", title: "PINNED", text: ({ isPinned }) => (isPinned ? "yes" : ""), isExtra: true },
];
