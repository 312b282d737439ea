/** Command lines that people copy. */

/** One word for a POSIX shell, which takes it literally. Names and paths are whatever somebody chose. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
