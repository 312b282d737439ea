/** Where a worker thread's file is: in the sources, or embedded in the executable, where each has a place of its own. */

/** `path`: below src, with its .ts; scripts/build.ts lists it too. An address for `new Worker`. */
export function workerFile(path: string): string {
  // The bundler keeps entry points where they were below their common folder, but not the files that start them.
  if (Bun.isStandaloneExecutable) return `/$bunfs/root/${path.replace(/\.ts$/, ".js")}`;
  return new URL(`../${path}`, import.meta.url).href;
}
