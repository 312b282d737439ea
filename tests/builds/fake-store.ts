/** A store in memory: contents whole, builds as they were added. */
import type {
  Build,
  BuildStore,
  Content,
  ContentStore,
  NewBuild,
  TimedLine,
  UploadOutcome,
} from "../../src/store/api.ts";
import { sha256Of } from "../../src/lib/sha256-of.ts";

export interface KeptBuild extends Omit<NewBuild, "console"> {
  readonly console: readonly TimedLine[];
}

export class FakeStore {
  readonly kept = new Map<string, KeptBuild>();
  readonly bytes = new Map<number, Uint8Array>();
  /** Awaited before a build is taken. */
  beforeAdd: () => Promise<void> = () => Promise.resolve();

  readonly builds = {
    add: async (build: NewBuild): Promise<UploadOutcome> => {
      await this.beforeAdd();
      const console: TimedLine[] = [];
      for await (const line of build.console) console.push(line);
      if (this.kept.has(build.id)) return { ok: false, refusal: { code: "exists", message: "it is there" } };
      this.kept.set(build.id, { ...build, console });
      return { ok: true, build: {} as Build };
    },
    build: () => undefined,
  } as unknown as BuildStore;

  readonly contents = {
    session: () => ({
      writer: () => {
        const pieces: Uint8Array[] = [];
        return {
          write: (bytes: Uint8Array) => Promise.resolve(void pieces.push(bytes.slice())),
          finish: () => Promise.resolve(this.put(Buffer.concat(pieces))),
          [Symbol.asyncDispose]: () => Promise.resolve(),
        };
      },
      put: (bytes: Uint8Array) => Promise.resolve(this.put(bytes)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  } as unknown as ContentStore;

  put(bytes: Uint8Array): Content {
    const id = this.bytes.size + 1;
    this.bytes.set(id, bytes);
    return { id, sha256: sha256Of(bytes), size: bytes.length };
  }

  /** A kept build's console as text. */
  console(id: string): string[] {
    return (this.kept.get(id)?.console ?? []).map(({ text }) => new TextDecoder().decode(text));
  }
}
