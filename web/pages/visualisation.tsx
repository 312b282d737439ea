/** A picture alone: a page of its own that also fits into a frame of another. */
import type { ComponentChildren } from "preact";
import type { PageContext } from "../components/layout.tsx";

interface VisualisationPageProps {
  readonly page: PageContext;
  readonly title: string;
  /** The build's page, which opens outside of a frame. */
  readonly back?: { readonly href: string; readonly name: string };
  readonly children: ComponentChildren;
}

export function VisualisationPage({ page, title, back, children }: VisualisationPageProps) {
  const { theme, assets } = page;
  return (
    <html lang="en" {...(theme === "auto" ? {} : { "data-theme": theme })}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content={theme === "auto" ? "light dark" : theme} />
        <title>{`${title} · robur`}</title>
        <link rel="icon" type="image/svg+xml" href={`/assets/${assets.icon}`} />
        <link rel="stylesheet" href={`/assets/${assets.style}`} />
        <script type="module" src={`/assets/${assets.script}`} />
      </head>
      <body class="visualisation">
        <main>
          <h1>{title}</h1>
          {back !== undefined && (
            <p class="small">
              <a href={back.href} target="_top">
                {back.name}
              </a>
            </p>
          )}
          {children}
        </main>
      </body>
    </html>
  );
}

/** Says why there is no picture. */
export function NoVisualisationPage({
  page,
  message,
  back,
}: Pick<VisualisationPageProps, "page" | "back"> & { readonly message: string }) {
  return (
    <VisualisationPage page={page} title="No picture" {...(back === undefined ? {} : { back })}>
      <p class="muted">There is nothing to draw: {message}.</p>
    </VisualisationPage>
  );
}
