/** Searching, for people. */
import { SearchPage } from "../../../web/pages/search.tsx";
import { searchText } from "../../store/builds/search.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { html, pageContext } from "./render.tsx";

const COUNT = 50;
const LONGEST = 500;

export function searchPage({ db, now }: ServerContext, request: Request): Response {
  const { searchParams } = new URL(request.url);
  const query = (searchParams.get("q") ?? "").trim().slice(0, LONGEST);
  const start = Number(/^\d{1,6}$/.exec(searchParams.get("start") ?? "")?.[0] ?? 0);
  const found = query === "" ? undefined : searchText(db, query, { limit: COUNT, start });
  const { jobs = [], builds = [], hasMore = false } = found?.ok ? found.value : {};
  const more = new URLSearchParams({ q: query, start: String(start + COUNT) });
  return html(
    <SearchPage
      page={pageContext(request, visitOf(request), now())}
      {...{ query, jobs, builds }}
      next={hasMore ? `/search?${more}` : undefined}
      complaint={found === undefined || found.ok ? undefined : found.message}
    />,
  );
}
