/** The pages before one is in: signing in, setting up, and what says why not. */
import { LonePage, type PageContext } from "../components/layout.tsx";

/** What went wrong, for people. */
export interface Complaint {
  readonly message: string;
  readonly why?: string | undefined;
  readonly hint?: string | undefined;
}

export function Complain({ complaint }: { complaint: Complaint | undefined }) {
  if (complaint === undefined) return null;
  return (
    <div class="notice bad" role="alert">
      <p>
        <b>{sentence(complaint.message)}</b> {complaint.why === undefined ? "" : sentence(complaint.why)}
      </p>
      {complaint.hint !== undefined && <p class="small">{sentence(complaint.hint)}</p>}
    </div>
  );
}

interface SignInProps {
  readonly page: PageContext;
  readonly next: string;
  readonly user?: string;
  readonly complaint?: Complaint | undefined;
}

export function SignInPage({ page, next, user = "", complaint }: SignInProps) {
  return (
    <LonePage page={page} title="Sign in">
      <div class="stack">
        <h1>Sign in</h1>
        <Complain complaint={complaint} />
        <form method="post" action="/sign-in">
          <input type="hidden" name="next" value={next} />
          <div class="field">
            <label for="user">User name</label>
            <input
              id="user"
              name="user"
              type="text"
              value={user}
              autocomplete="username"
              autocapitalize="none"
              spellcheck={false}
              required
              autofocus={user === ""}
            />
          </div>
          <div class="field">
            <label for="password">Password</label>
            <input
              id="password"
              name="password"
              type="password"
              autocomplete="current-password"
              required
              autofocus={user !== ""}
            />
          </div>
          <div class="submit">
            <button class="button main" type="submit">
              Sign in
            </button>
          </div>
        </form>
      </div>
    </LonePage>
  );
}

interface SetupProps {
  readonly page: PageContext;
  readonly user?: string;
  /** Kept in the form when it is shown again. */
  readonly secret?: string;
  readonly complaint?: Complaint | undefined;
}

export function SetupPage({ page, user = "", secret = "", complaint }: SetupProps) {
  return (
    <LonePage page={page} title="Set up">
      <div class="stack">
        <div>
          <h1>Welcome to robur</h1>
          <p class="muted">Make the account that administers this server.</p>
        </div>
        <Complain complaint={complaint} />
        <form method="post" action="/setup" data-island="setup">
          <div class="field" data-secret>
            <label for="secret">Set-up code</label>
            <input
              id="secret"
              name="secret"
              type="text"
              value={secret}
              autocomplete="off"
              spellcheck={false}
              required
              aria-describedby="secret-help"
            />
            <span class="help" id="secret-help">
              What stands behind the # of the set-up link.
            </span>
          </div>
          <div class="field">
            <label for="user">User name</label>
            <input
              id="user"
              name="user"
              type="text"
              value={user}
              autocomplete="username"
              autocapitalize="none"
              spellcheck={false}
              required
            />
          </div>
          <div class="field">
            <label for="password">Password</label>
            <input
              id="password"
              name="password"
              type="password"
              autocomplete="new-password"
              minlength={10}
              required
              aria-describedby="password-help"
            />
            <span class="help" id="password-help">
              At least 10 characters. A few words are easier to keep than many signs.
            </span>
          </div>
          <div class="submit">
            <button class="button main" type="submit">
              Set up and sign in
            </button>
          </div>
        </form>
      </div>
    </LonePage>
  );
}

export function NotSetUpPage({ page }: { page: PageContext }) {
  return (
    <LonePage page={page} title="Not set up">
      <div class="stack">
        <h1>Not set up yet</h1>
        <p>This server has no administrator. On the machine it runs on, ask for a set-up link:</p>
        <pre class="command">robur setup-url</pre>
        <p class="muted small">
          The link works once, for half an hour. Without a browser:{" "}
          <code>robur user add NAME --admin --password-stdin</code>
        </p>
      </div>
    </LonePage>
  );
}

interface ErrorProps {
  readonly page: PageContext;
  readonly status: number;
  readonly complaint: Complaint;
  /** The request's id, which is in the log as well. */
  readonly id: string;
}

const TITLES: Readonly<Record<number, string>> = {
  403: "Not allowed",
  404: "Not found",
  409: "That doesn't fit",
  413: "Too large",
  429: "Too many requests",
};

export function ErrorPage({ page, status, complaint, id }: ErrorProps) {
  const title = TITLES[status] ?? (status >= 500 ? "Something went wrong" : "That didn't work");
  return (
    <LonePage page={page} title={title}>
      <div class="stack">
        <div>
          <p class="muted small">{status}</p>
          <h1>{title}</h1>
        </div>
        <p class="break">
          {sentence(complaint.message)} {complaint.why === undefined ? "" : sentence(complaint.why)}
        </p>
        {complaint.hint !== undefined && <p class="notice break">{sentence(complaint.hint)}</p>}
        <p class="muted small">
          Request <code>{id}</code>
        </p>
        <p>
          <a href="/">To the start</a>
        </p>
      </div>
    </LonePage>
  );
}

/** Errors are written in lower case and without a full stop, as a terminal shows them. */
export function sentence(text: string): string {
  const isCommand = /^(robur|curl|sudo|npm|df|ls) /.test(text);
  const begun = isCommand ? `Try: ${text}` : text.charAt(0).toUpperCase() + text.slice(1);
  return isCommand || /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
