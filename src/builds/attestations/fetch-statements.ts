/** What a build's own server has signed about it, fetched with the build: a robur server has that, a builder-web has not. */
import type { Database } from "bun:sqlite";
import { bodyOf, askRemote } from "../../store/remotes/remote-request.ts";
import type { RemoteAddress } from "../../store/remotes/remote-address.ts";
import { RemoteError } from "../../store/remotes/remote-error.ts";
import { ENVELOPE_MAX } from "../../trust/envelope.ts";
import { keepForeign } from "../../trust/records.ts";

/**
 * Keeps them beside the build. Answers how many; none is no failure, for a build is as good without. Whether they count
 * is asked when somebody relies on them.
 */
export async function fetchBuildStatements(
  db: Database,
  remote: RemoteAddress,
  build: { readonly job: string; readonly id: string },
  now: number,
): Promise<number> {
  try {
    const response = await askRemote(remote, `/job/${build.job}/build/${build.id}/attestations`);
    const pieces: Uint8Array[] = [];
    for await (const piece of bodyOf(response, ENVELOPE_MAX)) pieces.push(piece);
    const text = new TextDecoder().decode(Buffer.concat(pieces));
    return keepForeign(db, text, { source: remote.origin, build: build.id }, now).kept;
  } catch (error) {
    if (error instanceof RemoteError) return 0;
    throw error;
  }
}
