/** The main binary of a server's build, in a file that has no name any more: for a run in the foreground. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { downloadFile } from "../../store/remotes/download.ts";
import { type FoundImage, findImage } from "../find-image.ts";
import { withProgress } from "../progress.ts";
import { resolveBuild } from "./builds.ts";
import { ClientError } from "./client-error.ts";
import { connect } from "./connect.ts";

/** `text`: `job:hello`, `job:hello@5a0c31f2`. Throws ClientError, RemoteError wrong-hash, ImageFileError. */
export async function findJobImage(text: string): Promise<FoundImage> {
  const client = connect(undefined);
  const { build } = await resolveBuild(client, text);
  const { main } = build;
  if (main?.isKept !== true) {
    throw new ClientError(3, "not-found", `build ${build.id} of ${build.job} has no main binary`, {
      hint: `robur build ls ${build.job}`,
    });
  }
  const folder = mkdtempSync(join(tmpdir(), "robur-job-"));
  try {
    const path = join(folder, "image");
    const file = main.path.split("/").map(encodeURIComponent).join("/");
    const address = `/job/${encodeURIComponent(build.job)}/build/${build.id}/f/${file}`;
    await withProgress(`fetching ${text}`, (onProgress) =>
      downloadFile(path, {
        ...{ sha256: main.sha256, size: main.size, onProgress },
        from: () => client.request(address),
      }),
    );
    return { ...findImage(path), path: text };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
