// A process that uploads one record after the other, and says so on its output when one is kept. The test kills it.
import { openDatabase } from "../../../src/db/open.ts";
import { openBuildStore } from "../../../src/store/builds/build-store.ts";
import { openContentStore } from "../../../src/store/contents/content-store.ts";
import { crashRecord } from "./crash-record.ts";
import { upload } from "./lab.ts";

const [path = "", first = "0"] = process.argv.slice(2);
const db = openDatabase(path);
const store = openBuildStore(db, openContentStore(db));
for (let number = Number(first); ; number++) {
  const outcome = await upload(store, await crashRecord(number));
  if (!outcome.ok) throw new Error(outcome.refusal.message);
  process.stdout.write(`${number}\n`);
}
