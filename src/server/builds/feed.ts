/** The runs of a job as a feed (Atom, RFC 4287). Pure. */
import { resultText } from "../../protocols/builder/result-text.ts";
import type { BuildSummary, Job } from "../../store/api.ts";
import { buildPath, jobPath } from "./paths.ts";

/** `origin`: this server as its visitor reached it. `builds`: newest first. */
export function atomFeed(job: Job, builds: readonly BuildSummary[], origin: string): string {
  const newest = builds[0];
  const self = `${origin}${jobPath(job.name)}/feed`;
  return `<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
<title>${escape(`Builds of ${job.name}`)}</title>
<id>${escape(self)}</id>
<link rel="self" href="${escape(self)}"/>
<link href="${escape(origin + jobPath(job.name))}"/>
<updated>${new Date(newest?.finishedAt ?? 0).toISOString()}</updated>
<author><name>robur</name></author>
${builds.map((build) => entry(build, origin)).join("\n")}
</feed>
`;
}

function entry(build: BuildSummary, origin: string): string {
  const { id, job, platform, finishedAt, result, main } = build;
  const outcome = main === undefined ? "failed" : "built";
  const text =
    main === undefined ? resultText(result) : `${main.path}, ${main.size} bytes, SHA-256 ${main.sha256}`;
  return `<entry>
<title>${escape(`${job} ${outcome} on ${platform}`)}</title>
<id>urn:uuid:${id}</id>
<link href="${escape(origin + buildPath(build))}"/>
<updated>${new Date(finishedAt).toISOString()}</updated>
<summary>${escape(text)}</summary>
</entry>`;
}

/** XML has no place for most control characters, not even escaped. */
function escape(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return Bun.escapeHTML(text.replaceAll(/[\0-\x08\x0b\x0c\x0e-\x1f\u{FFFE}\u{FFFF}]/gu, "\u{FFFD}"));
}
