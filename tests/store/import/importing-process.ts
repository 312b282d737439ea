// A process that takes over a builder-web's data directory, and says so when it begins and when it is done. The test
// kills it in between. Arguments: our data directory, theirs.
import { databasePath, openDatabase } from "../../../src/db/open.ts";
import { openContentStore } from "../../../src/store/contents/content-store.ts";
import { importBuilderWeb } from "../../../src/store/import/builder-web.ts";

const [own = "", theirs = ""] = process.argv.slice(2);
const db = openDatabase(databasePath(own));
const contents = openContentStore(db);
console.log("begins");
const summary = await importBuilderWeb({ db, contents, dataDirectory: own }, theirs, {
  now: Date.now,
  report: (event) => event.kind === "damage" && console.error(event.text),
});
console.log(`done ${summary.builds + summary.alreadyThere}`);
await contents[Symbol.asyncDispose]();
db.close();
