/** Nothing was found below an address of builds. */
import { Page, type PageContext } from "../components/layout.tsx";
import { SearchField } from "./search-field.tsx";
import { type Complaint, sentence } from "./gate.tsx";

interface Props {
  readonly page: PageContext;
  readonly problem: Complaint;
  readonly asked: string;
  /** What the search begins with. */
  readonly query: string;
  /** The request's id, which is in the log as well. */
  readonly id: string;
}

export function BuildsErrorPage({ page, problem, asked, query, id }: Props) {
  return (
    <Page page={page} title="Not found">
      <div class="stack narrow">
        <div>
          <p class="muted small">404</p>
          <h1>Not found</h1>
        </div>
        <p class="break">
          {sentence(problem.message)} <code>{asked}</code>
        </p>
        <SearchField value={query} />
        <p class="muted small">
          <a href="/all-builds">All jobs</a> · Request <code>{id}</code>
        </p>
      </div>
    </Page>
  );
}
