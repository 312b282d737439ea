/** All unikernels that the visitor may see. */
import type { StatsSample, UnikernelName, UnikernelView } from "../../src/orchestrator/api.ts";
import { formatSize, mebibytes, percent } from "../components/format.ts";
import { Icon } from "../components/icons.tsx";
import { Ago, Page, type PageContext } from "../components/layout.tsx";
import { StateBadge, possibleActions } from "../components/state.tsx";

interface ListProps {
  readonly page: PageContext;
  readonly unikernels: readonly UnikernelView[];
  readonly stats: ReadonlyMap<UnikernelName, StatsSample>;
}

export function UnikernelsPage({ page, unikernels, stats }: ListProps) {
  return (
    <Page page={page} title="Unikernels">
      <div class="page-head">
        <h1>Unikernels</h1>
        {page.user?.mayWrite && (
          <a class="button main" href="/deploy">
            <Icon name="upload" />
            Deploy
          </a>
        )}
      </div>
      <div id="live-list" data-island="refresh">
        {unikernels.length === 0 ? (
          <p class="card muted">
            There are none yet. <a href="/">The start</a> has three ways to a first one.
          </p>
        ) : (
          <div class="card table-card">
            <table class="table">
              <caption class="hidden-text">Unikernels by name</caption>
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col">State</th>
                  <th scope="col">Since</th>
                  <th scope="col" class="number">
                    Processor
                  </th>
                  <th scope="col" class="number">
                    Memory
                  </th>
                  <th scope="col">
                    <span class="hidden-text">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {unikernels.map((unikernel) => (
                  <Row
                    key={unikernel.id}
                    page={page}
                    unikernel={unikernel}
                    sample={stats.get(unikernel.name)}
                  />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
    </Page>
  );
}

interface RowProps {
  readonly page: PageContext;
  readonly unikernel: UnikernelView;
  readonly sample: StatsSample | undefined;
}

function Row({ page, unikernel, sample }: RowProps) {
  const { name, state, since, config, image } = unikernel;
  return (
    <tr>
      <td class="name break">
        <a href={pathOf(name)}>{name}</a> <span class="muted small">{image.target}</span>
      </td>
      <td class="end-phone">
        <StateBadge state={state} />
      </td>
      <td data-label="since">
        <Ago at={since} page={page} />
      </td>
      <td class="number" data-label="processor">
        {typeof sample?.cpu === "number" ? percent(sample.cpu) : "–"}
      </td>
      <td class="number" data-label="memory">
        {sample === undefined ? "–" : formatSize(sample.resident)}{" "}
        <span class="muted small">of {mebibytes(config.memoryMb)}</span>
      </td>
      <td class="end">
        <Actions page={page} unikernel={unikernel} isSmall />
      </td>
    </tr>
  );
}

export function pathOf(name: UnikernelName): string {
  return `/unikernels/${encodeURIComponent(name)}`;
}

interface ActionsProps {
  readonly page: PageContext;
  readonly unikernel: UnikernelView;
  readonly isSmall?: boolean;
}

/** Start, stop and restart, as far as they make sense and are allowed. */
export function Actions({ page, unikernel, isSmall = false }: ActionsProps) {
  if (!page.user?.mayOperate) return null;
  const possible = possibleActions(unikernel);
  const { name } = unikernel;
  const button = (action: "start" | "stop" | "restart", word: string, icon: "play" | "stop" | "again") =>
    possible[action] && (
      <form method="post" action={`${pathOf(name)}/${action}`}>
        <input type="hidden" name="back" value={page.path} />
        <button class={isSmall ? "button small" : "button"} type="submit" aria-label={`${word} ${name}`}>
          <Icon name={icon} size={16} />
          {word}
        </button>
      </form>
    );
  return (
    <div class="actions">
      {button("start", "Start", "play")}
      {!isSmall && button("restart", "Restart", "again")}
      {button("stop", "Stop", "stop")}
    </div>
  );
}
