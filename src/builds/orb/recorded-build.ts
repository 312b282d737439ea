/** A recorded build behind a URL, as builder-web and robur serve it, fetched into a directory. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSwitchExport } from "../../opam/switch-export.ts";
import { OrbError } from "./orb-error.ts";

/** No record is larger; the package list of a large switch is a few megabytes. */
const SIZE_MAX = 64 * 1024 * 1024;
const LIMIT_MS = 120_000;

/** Fetches what a rebuild needs of `…/job/NAME/build/UUID`. Throws OrbError failed. */
export async function fetchRecord(url: string, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const base = url.replace(/\/+$/, "");
  const fetchOne = async (name: string, isNeeded: boolean): Promise<string> => {
    const at = `${base}/f/${name}`;
    const failed = (why: string) => new OrbError("failed", `${at} could not be fetched`, { why });
    let text = "";
    try {
      const response = await fetch(at, { signal: AbortSignal.timeout(LIMIT_MS) });
      if (response.status === 404 && !isNeeded) return "";
      if (!response.ok) throw failed(`the server answers ${response.status}`);
      let size = 0;
      const decoder = new TextDecoder();
      for await (const piece of response.body ?? []) {
        size += piece.length;
        if (size > SIZE_MAX) throw failed(`it is larger than ${SIZE_MAX} bytes`);
        text += decoder.decode(piece, { stream: true });
      }
    } catch (error) {
      if (error instanceof OrbError) throw error;
      throw failed(error instanceof Error ? error.message : String(error));
    }
    writeFileSync(join(directory, name), text);
    return text;
  };
  await fetchOne("build-environment", true);
  await fetchOne("system-packages", false);
  const { roots } = readSwitchExport(await fetchOne("opam-switch", true));
  for (const { name } of roots.slice(0, 1)) await fetchOne(`${name}.build-hashes`, true);
}
