/** The images that a declaration names: looked at, so that a plan can be made without sending anything. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { devicesOf } from "../../image/manifest.ts";
import { nameFile } from "../../image/image-error.ts";
import { readUnikernel } from "../../image/unikernel.ts";
import type { ImageView, Sha256 } from "../../orchestrator/api.ts";
import { ClientError } from "../client/client-error.ts";
import type { Client } from "../client/connect.ts";
import { type ImageRef, hashOf, openForUpload, parseImageRef, provideImage } from "../client/image-ref.ts";
import { findImage } from "../find-image.ts";

export interface LookedAt extends Disposable {
  /** By how the declaration names them. */
  readonly views: ReadonlyMap<string, ImageView>;
  /** Makes the server have one of them, and answers its hash. */
  provide(name: string): Promise<Sha256>;
}

/** Files are relative to `directory`; what lies at an address is downloaded once. Throws ClientError, ImageError. */
export async function lookAtImages(
  client: Client,
  names: readonly string[],
  directory: string,
): Promise<LookedAt> {
  const scratch = mkdtempSync(join(tmpdir(), "robur-apply-"));
  const dispose = () => rmSync(scratch, { recursive: true, force: true });
  try {
    const refs = new Map<string, ImageRef>();
    const views = new Map<string, ImageView>();
    for (const name of new Set(names)) {
      const ref = await localRef(parseImageRef(name), directory, join(scratch, String(refs.size)));
      refs.set(name, ref);
      views.set(name, ref.kind === "file" ? describeFile(ref.path) : await provideImage(client, ref));
    }
    const provide = async (name: string) => (await provideImage(client, refs.get(name)!)).sha256;
    return { views, provide, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

async function localRef(ref: ImageRef, directory: string, scratch: string): Promise<ImageRef> {
  if (ref.kind === "stored" || ref.kind === "job") return ref;
  if (ref.kind === "file") {
    const beside = isAbsolute(ref.path) ? ref.path : join(directory, ref.path);
    // hello.hvt and its like are built in.
    return { kind: "file", path: (await Bun.file(beside).exists()) ? beside : ref.path };
  }
  const response = await fetch(ref.url).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new ClientError(1, "unreachable", `can't download ${ref.url}`, { why, cause: error });
  });
  if (!response.ok) {
    throw new ClientError(response.status === 404 ? 3 : 1, "unreachable", `can't download ${ref.url}`, {
      why: `the server answers ${response.status}`,
    });
  }
  await Bun.write(scratch, response);
  return { kind: "file", path: scratch };
}

/** A file as the server would describe it. Throws ImageError, ImageFileError. */
function describeFile(path: string): ImageView {
  const image = findImage(path);
  const unikernel = nameFile(path, () => readUnikernel(image.source));
  image.close();
  const { fd, size, close } = openForUpload(path);
  try {
    return {
      sha256: hashOf(fd, size) as Sha256,
      size,
      target: unikernel.abi.target === "spt" ? "spt" : "hvt",
      abiVersion: unikernel.abi.version,
      devices: devicesOf(unikernel.manifest).map(({ device: { name, type } }) => ({
        name,
        type: type === "BLOCK_BASIC" ? "block" : "net",
      })),
      createdAt: 0,
      usedBy: [],
    };
  } finally {
    close();
  }
}
