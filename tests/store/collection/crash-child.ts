/** Writes, refers, lets go, collects and takes uploads until it is killed. Arguments: the database, a seed. */
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import { collect } from "../../../src/store/collection/collect.ts";
import type { UploadId } from "../../../src/store/uploads/api.ts";
import { openUploads } from "../../../src/store/uploads/uploads.ts";
import { randomBytes } from "../bytes.ts";
import { HOUR, letGo, referTo, storeWorld } from "../world.ts";

const [path = "", seed = "1"] = process.argv.slice(2);
await using world = storeWorld(path);
const { db, contents } = world;
const uploads = openUploads(contents);
const all = randomBytes(1_500_000, 1);
let state = Number(seed);
const random = (below: number) => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) % below;

const tasks = [
  async () => {
    await using session = contents.session();
    const start = random(1_000_000);
    const bytes = all.subarray(start, start + random(500_000));
    const content = await session.put(bytes);
    if (sha256Of(bytes) !== content.sha256) throw new Error("a wrong hash");
    referTo(db, content.id);
    // What is on standard output was acknowledged.
    console.log(content.sha256);
  },
  async () => {
    const row = db.query<{ content: number }, []>("SELECT content FROM test_keeper ORDER BY random()").get();
    if (row !== null && random(2) === 0) {
      const sha256 = contents.byId(row.content)?.sha256;
      console.log(`-${sha256}`);
      letGo(db, row.content);
    }
  },
  async () => {
    world.now += 2 * HOUR;
    await collect(db, contents, { now: world.now });
  },
  async () => {
    const size = 200_000 + random(400_000);
    const open = db.query<{ id: UploadId; size: number }, []>("SELECT id, size FROM upload LIMIT 1").get();
    const made = open === null ? uploads.create("alice", { kind: "content" }, size) : undefined;
    const upload = uploads.find("alice", made?.ok === true ? made.upload.id : open!.id);
    if (upload === undefined) return;
    const part = all.subarray(upload.offset, Math.min(upload.size, upload.offset + random(200_000)));
    const outcome = await uploads.append("alice", upload.id, upload.offset, new Blob([part]).stream());
    if (!outcome.ok) return;
    if (outcome.content === undefined) return;
    const expected = sha256Of(all.subarray(0, upload.size));
    if (outcome.content.sha256 !== expected) throw new Error("an upload became something else");
    await uploads.remove("alice", upload.id);
  },
];
await first();

/** The table of what is kept must be there. */
async function first(): Promise<void> {
  await using session = contents.session();
  const { id } = await session.put(new Uint8Array(3));
  referTo(db, id);
}

console.log("ready");
for (;;) {
  await Promise.all([tasks[random(4)]!(), tasks[random(4)]!(), tasks[0]!()].map((task) => task.catch(stop)));
}

function stop(error: unknown): never {
  console.error(error);
  process.exit(3);
}
