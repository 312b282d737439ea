/**
 * Streams that are open only while somebody looks: a browser has six connections to a server, and forgotten tabs
 * must not use them up. What was missed meanwhile comes when the tab is seen again.
 */
export interface LiveStream {
  /** The address to open; asked anew each time, so that it can say where to go on. */
  readonly address: () => string;
  /** By the event's name. */
  readonly on: Readonly<Record<string, (data: unknown, id: string) => void>>;
  /** Whether the stream is up. */
  readonly state?: (isOpen: boolean) => void;
}

/** Opens the stream now and whenever the page is seen. The answer ends it for good. */
export function openLive({ address, on, state }: LiveStream): () => void {
  let source: EventSource | undefined;
  let isOver = false;
  const open = () => {
    if (source !== undefined || isOver) return;
    source = new EventSource(address());
    source.addEventListener("open", () => state?.(true));
    source.addEventListener("error", () => {
      state?.(false);
      // Closed for good: the session ended, or the unikernel is gone.
      if (source?.readyState === EventSource.CLOSED) source = undefined;
    });
    for (const [name, handle] of Object.entries(on)) {
      source.addEventListener(name, (event) => {
        const { data, lastEventId } = event as MessageEvent<string>;
        handle(JSON.parse(data) as unknown, lastEventId);
      });
    }
  };
  const close = () => {
    source?.close();
    source = undefined;
    state?.(false);
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", () => document.hidden || open());
  if (!document.hidden) open();
  return () => {
    isOver = true;
    close();
  };
}
