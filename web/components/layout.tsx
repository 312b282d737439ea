/** The frame around every page. */
import type { ComponentChildren } from "preact";
import { minute, moment, relative } from "./format.ts";
import { Icon, type IconName } from "./icons.tsx";

export type Theme = "auto" | "light" | "dark";

/** What a page knows of its visitor and of its own files. */
export interface PageContext {
  readonly theme: Theme;
  /** Where the page is: the path of its address. */
  readonly path: string;
  /** Undefined for somebody who hasn't signed in. */
  readonly user:
    { readonly name: string; readonly mayWrite: boolean; readonly mayOperate: boolean } | undefined;
  readonly assets: { readonly script: string; readonly style: string; readonly icon: string };
  /** Milliseconds since 1970. */
  readonly now: number;
}

interface PageProps {
  readonly page: PageContext;
  readonly title: string;
  /** The address of a feed that tells what is new here. */
  readonly feed?: string;
  readonly children: ComponentChildren;
}

const NAVIGATION: readonly (readonly [path: string, word: string, icon: IconName])[] = [
  ["/", "Home", "home"],
  ["/all-builds", "Builds", "layers"],
  ["/queue", "Queue", "queue"],
  ["/unikernels", "Unikernels", "boxes"],
  ["/deploy", "Deploy", "upload"],
  ["/reference", "API reference", "book"],
];

const BUILDS = /^\/(?:all-builds|failed-builds|search|compare|job)(?:\/|$)/;

function Document({ page, title, feed, children }: PageProps) {
  const { theme, assets } = page;
  return (
    <html lang="en" {...(theme === "auto" ? {} : { "data-theme": theme })}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content={theme === "auto" ? "light dark" : theme} />
        <title>{`${title} · robur`}</title>
        {feed !== undefined && <link rel="alternate" type="application/atom+xml" href={feed} />}
        <link rel="icon" type="image/svg+xml" href={`/assets/${assets.icon}`} />
        <link rel="stylesheet" href={`/assets/${assets.style}`} />
        <script type="module" src={`/assets/${assets.script}`} />
      </head>
      <body>{children}</body>
    </html>
  );
}

function Brand({ page }: { page: PageContext }) {
  return (
    <a class="brand" href="/">
      <img src={`/assets/${page.assets.icon}`} alt="" />
      robur
    </a>
  );
}

/** A page with the navigation. */
export function Page({ page, title, feed, children }: PageProps) {
  return (
    <Document page={page} title={title} {...(feed === undefined ? {} : { feed })}>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <div class="frame">
        <header class="side">
          <Brand page={page} />
          <details class="menu">
            <summary>Menu</summary>
          </details>
          <div class="menu-content">
            <nav aria-label="Main">
              <ul class="nav">
                {NAVIGATION.filter(([path]) => isFor(page, path)).map(([path, word, icon]) => (
                  <li key={path}>
                    <a href={path} {...(isHere(page, path) ? { "aria-current": "page" as const } : {})}>
                      <Icon name={icon} />
                      {word}
                    </a>
                  </li>
                ))}
              </ul>
            </nav>
            <div class="side-end">
              <ThemeSwitch page={page} />
              {page.user === undefined ? (
                <a href="/sign-in">Sign in</a>
              ) : (
                <form class="who" method="post" action="/sign-out">
                  <b>{page.user.name}</b>
                  <button class="link-button" type="submit">
                    Sign out
                  </button>
                </form>
              )}
            </div>
          </div>
        </header>
        <main id="content" tabindex={-1}>
          {children}
        </main>
      </div>
    </Document>
  );
}

/** A page with nothing around it: signing in, setting up, errors. */
export function LonePage({ page, title, children }: PageProps) {
  return (
    <Document page={page} title={title}>
      <div class="alone">
        <header>
          <Brand page={page} />
        </header>
        <main>
          <div class="card">{children}</div>
        </main>
      </div>
    </Document>
  );
}

function ThemeSwitch({ page }: { page: PageContext }) {
  const themes: readonly (readonly [Theme, string])[] = [
    ["auto", "Auto"],
    ["light", "Light"],
    ["dark", "Dark"],
  ];
  return (
    <form method="post" action="/theme" data-island="theme">
      <input type="hidden" name="back" value={page.path} />
      <div class="themes" role="group" aria-label="Colours">
        {themes.map(([theme, word]) => (
          <button key={theme} type="submit" name="theme" value={theme} aria-pressed={page.theme === theme}>
            {word}
          </button>
        ))}
      </div>
    </form>
  );
}

/** Strangers see builds only; the other entries would lead them to signing in. */
function isFor({ user }: PageContext, path: string): boolean {
  if (path === "/deploy") return user?.mayWrite === true;
  return user !== undefined || path === "/all-builds" || path === "/queue" || path === "/reference";
}

function isHere({ path, user }: PageContext, entry: string): boolean {
  // Strangers' start is the list of builds.
  if (entry === "/all-builds") return BUILDS.test(path) || (path === "/" && user === undefined);
  if (entry === "/queue") return /^\/(?:queue|runs|jobs)(?:\/|$)/.test(path);
  return entry === "/" ? path === "/" : path === entry || path.startsWith(`${entry}/`);
}

/** A point in time to the minute, in UTC, in one piece: `2026-11-21 04:20`. */
export function Minute({ at }: { at: number }) {
  return (
    <span class="minute" title={moment(at)}>
      {minute(at)}
    </span>
  );
}

/** A point in time: how long ago, and exactly when as its title. */
export function Ago({ at, page }: { at: number; page: PageContext }) {
  return (
    <time dateTime={new Date(at).toISOString()} data-ago title={moment(at)}>
      {relative(at, page.now)}
    </time>
  );
}
