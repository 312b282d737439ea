/** The API reference: the same document that programs get as /openapi.json. */
import { Page, type PageContext } from "../components/layout.tsx";

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: unknown;
  readonly requestBody?: unknown;
  readonly "x-robur-need"?: unknown;
}

export interface ReferenceDocument {
  readonly info: { readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

interface Route extends Operation {
  readonly method: string;
  readonly path: string;
}

export function ReferencePage({ page, document }: { page: PageContext; document: ReferenceDocument }) {
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Route => ({
      ...operation,
      method: method.toUpperCase(),
      path,
    })),
  );
  const tags = [...new Set(routes.map(({ tags: [tag] = [] }) => tag ?? "other"))];
  return (
    <Page page={page} title="API reference">
      <div class="page-head">
        <div>
          <h1>API reference</h1>
          <p class="muted">
            robur {document.info.version}. For programs: <a href="/openapi.json">openapi.json</a>
          </p>
        </div>
      </div>
      <div class="stack">
        <section class="card">
          <p>{document.info.description}</p>
          <pre class="command after">
            curl -H "Authorization: Bearer $ROBUR_TOKEN" https://HOST/api/v1/unikernels
          </pre>
        </section>
        {tags.map((tag) => (
          <section key={tag} class="card" aria-labelledby={`tag-${tag}`}>
            <h2 id={`tag-${tag}`}>{tag.charAt(0).toUpperCase() + tag.slice(1)}</h2>
            {routes
              .filter(({ tags: [own] = [] }) => (own ?? "other") === tag)
              .map((route) => (
                <RouteDetails key={`${route.method} ${route.path}`} route={route} />
              ))}
          </section>
        ))}
      </div>
    </Page>
  );
}

function RouteDetails({ route }: { route: Route }) {
  const { method, path, summary, description, parameters, requestBody } = route;
  const schema = {
    ...(parameters === undefined ? {} : { parameters }),
    ...(requestBody === undefined ? {} : { requestBody }),
  };
  return (
    <details class="route">
      <summary>
        <span class={method === "GET" ? "method" : "method change"}>{method}</span>
        <code class="break">{path}</code>
        <span class="about">{summary}</span>
      </summary>
      <div class="stack after">
        {description !== undefined && <p>{description}</p>}
        <p class="muted small">For {needText(route["x-robur-need"])}</p>
        {Object.keys(schema).length > 0 && <pre class="command">{JSON.stringify(schema, null, 2)}</pre>}
      </div>
    </details>
  );
}

function needText(need: unknown): string {
  if (need === "anybody") return "everybody.";
  if (need === "person") return "people who signed in, about their own account.";
  return need === "admin"
    ? "administrators, and tokens with the scope admin."
    : `users, and tokens with the scope ${String(need)}.`;
}
