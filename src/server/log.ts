/**
 * The server's log: one line an event on standard error, `key=value` for people, JSON where `ROBUR_LOG=json`. Under
 * systemd each line begins with its priority, and the journal adds the time.
 */
import { printError } from "../linux/libc.ts";

export type Level = "error" | "warning" | "info" | "debug";
export type Fields = Readonly<Record<string, string | number | boolean | undefined>>;
export type Log = (level: Level, message: string, fields?: Fields) => void;

/** sd-daemon(3) */
const PRIORITY: Record<Level, number> = { error: 3, warning: 4, info: 6, debug: 7 };

/** The log of this process. */
export function openLog(environment: Readonly<Record<string, string | undefined>>): Log {
  const isJson = environment["ROBUR_LOG"] === "json";
  const isJournal = environment["JOURNAL_STREAM"] !== undefined;
  const isDebug = environment["ROBUR_DEBUG"] !== undefined;
  return (level, message, fields = {}) => {
    if (level === "debug" && !isDebug) return;
    const time = new Date().toISOString();
    const line = isJson ? JSON.stringify({ time, level, message, ...fields }) : formatLine(message, fields);
    const front = isJournal
      ? `<${PRIORITY[level]}>`
      : isJson
        ? ""
        : `${time} ${level === "info" ? "" : `${level}: `}`;
    printError(`${front}${line}\n`);
  };
}

/** `message key=value other="with a space"`; never more than one line. */
export function formatLine(message: string, fields: Fields): string {
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${quote(String(value))}`);
  return [message.replaceAll(/\s*\n\s*/g, " | "), ...pairs].join(" ");
}

function quote(text: string): string {
  return /^[\w.:/@+-]+$/.test(text) ? text : JSON.stringify(text);
}
