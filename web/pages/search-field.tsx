/** The one field by which everything of builds is found. */
import { Icon } from "../components/icons.tsx";

export function SearchField({ value = "", id = "search" }: { value?: string; id?: string }) {
  return (
    <form class="search" role="search" method="get" action="/search">
      <label class="hidden-text" for={id}>
        Search builds
      </label>
      <input
        id={id}
        type="search"
        name="q"
        value={value}
        placeholder="job, SHA-256, build, x509 < 0.11.0"
        spellcheck={false}
        autocapitalize="none"
      />
      <button class="button" type="submit">
        <Icon name="search" size={16} />
        Search
      </button>
    </form>
  );
}
